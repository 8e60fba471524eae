"""Equal values brought together: the same as numpy.unique says, of any array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.background.grouping import distinct, firsts, summed

VALUES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=60)


@given(VALUES)
def test_distinct_values_are_sorted_and_stand_once(values: list[int]) -> None:
    assert distinct(np.array(values, np.uint64)).tolist() == sorted(set(values))


@given(VALUES)
def test_firsts_are_where_a_sorted_array_changes(values: list[int]) -> None:
    ordered = np.array(sorted(values), np.uint64)
    assert firsts(ordered).tolist() == np.unique(ordered, return_index=True)[1].tolist()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 80)), max_size=60))
def test_weights_of_equal_values_are_summed(pairs: list[tuple[int, int]]) -> None:
    values, sums = summed(
        np.array([value for value, _ in pairs], np.int64),
        np.array([weight / 8 for _, weight in pairs], np.float32),
    )
    assert values.tolist() == sorted({value for value, _ in pairs})
    assert sums.tolist() == [sum(w for v, w in pairs if v == value) / 8 for value in values]
