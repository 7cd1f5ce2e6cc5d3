-- The board asks each second for the open alarms of each running recording: not by reading all that ever were.
CREATE INDEX alarm_open_of_recording ON alarm (recording_id) WHERE handling <> 'resolved';
