"""The shop's own channels: web shop, till, try-on, an advisor's basket. All of them reserve from shelves."""
