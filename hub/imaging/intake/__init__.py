"""Files that clinics send from pages and carts: piece by piece, looked at, taken in or set aside with a reason."""
