"""What every domain stands on: settings, errors, clock, database, jobs, files, sandbox, HTTP, metrics, supervisor."""
