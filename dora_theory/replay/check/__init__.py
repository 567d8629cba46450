"""What a log is fit for: copies, kept beams, order, completions of another problem."""
