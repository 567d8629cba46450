"""An interactive page on which the bias of solution-level allocation can be felt."""
