"""Tables, pictures and the one page that show a replay or a calibration."""
