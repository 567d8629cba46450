"""From records to candidates: cuts after a step, embeddings, directions, copies."""
