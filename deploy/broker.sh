#!/bin/sh
# mosquitto beside the hub: waits for the accounts the hub writes, and reads them again whenever they change.
set -eu
accounts=/mosquitto/accounts/passwords
until [ -s "$accounts" ]; do sleep 1; done
mosquitto -c /mosquitto/config/mosquitto.conf &
broker=$!
trap 'kill -TERM "$broker"; wait "$broker"' TERM INT
seen=$(cksum <"$accounts")
while kill -0 "$broker" 2>/dev/null; do
    now=$(cksum <"$accounts")
    [ "$now" = "$seen" ] || { kill -HUP "$broker"; seen=$now; }
    sleep 2 &
    wait $!
done
