"""One destination's sender: its queue, its batches, when it tries again."""
