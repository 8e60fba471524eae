"""The laundering ladder: real functions, rewritten at four depths, searched among unrelated ones.

    sample -> laundry (naming, statements, expressions, structure) -> search -> table

The levels are cumulative: level 3 has been through the rewrites of levels 1 and 2 as well.
"""
