"""Running the hub: watchers of each hop, incidents and who handles them, figures for the health page."""
