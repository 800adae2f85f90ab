"""Standings: states from columns, with nothing decoded."""

from linewarden.projections.standings import Standing, standings


def test_standings_follow_the_state_column() -> None:
    """The last state of each stream, since its first record in a row, with the count of changes."""
    pages = [[(1, 10, 5), (2, 11, 5), (1, 12, 6)], [(1, 13, 6), (1, 14, 5), (3, 15, None)]]
    assert standings(pages) == {
        1: Standing(5, 14, 2),
        2: Standing(5, 11, 0),
        3: Standing(None, 15, 0),
    }
