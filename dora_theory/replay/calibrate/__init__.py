"""κ from logged outcomes: maximum likelihood of the beta-binomial, reliability, scoring rules."""
