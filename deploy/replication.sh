#!/bin/sh
# Once, when the database is made: the hub may fetch backups over the inner network.
echo "host replication postgres samenet scram-sha-256" >>"$PGDATA/pg_hba.conf"
