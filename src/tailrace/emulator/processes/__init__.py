"""Processes of an environment: started, heard, stopped, continued, found and ended."""
