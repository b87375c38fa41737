"""Weighing with one cell lost: what a rigid platform says of the missing force.

The feet of a rigid platform on equal cells lie in one plane, so the forces do: a + b x + c y. The
plane through the sisters gives the missing one. It is an estimate (a load that twists the platform
is not seen), so a ticket that rests on it is marked.
"""

from collections.abc import Sequence

Place = tuple[float, float]
MIN_CELLS = 4


def shares(places: Sequence[Place], missing: int) -> tuple[float, ...] | None:
    """What share of each cell's force makes the missing one's; None where nothing determines it.

    The missing cell's own share is 0. Places are in metres, along and across the platform.
    """
    if len(places) < MIN_CELLS:
        return None
    sisters = [(1.0, x, y) for n, (x, y) in enumerate(places) if n != missing]
    normal = [[sum(one[i] * one[j] for one in sisters) for j in range(3)] for i in range(3)]
    found = _solve(normal, [1.0, *places[missing]])
    if found is None:
        return None
    weights = [sum(a * b for a, b in zip(one, found, strict=True)) for one in sisters]
    weights.insert(missing, 0.0)
    return tuple(weights)


def _solve(rows: list[list[float]], right: Sequence[float]) -> list[float] | None:
    """Three equations by Cramer's rule; None where they do not determine the unknowns."""
    whole = _determinant(rows)
    if abs(whole) < 1e-9:
        return None
    found = []
    for column in range(3):
        changed = [[*row[:column], right[n], *row[column + 1 :]] for n, row in enumerate(rows)]
        found.append(_determinant(changed) / whole)
    return found


def _determinant(m: list[list[float]]) -> float:
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )


def grid(count: int) -> tuple[Place, ...]:
    """The usual places: pairs, left and right, from one end of the platform to the other."""
    return tuple((float(number // 2), float(number % 2)) for number in range(count))
