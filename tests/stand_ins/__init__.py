"""Stand-ins for meters: real servers on this machine that answer with recorded replies."""
