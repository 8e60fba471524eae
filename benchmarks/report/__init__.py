"""What the HTML report of a very large comparison costs: in bytes, to render and to open."""
