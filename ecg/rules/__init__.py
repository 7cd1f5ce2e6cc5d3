"""The state machines behind the rule table, one file per family of rhythms; `ecg.episodes` calls them."""
