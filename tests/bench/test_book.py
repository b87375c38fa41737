"""What the benchmark expects of a query is what the reference filter finds."""

from book import PAGE, Book
from steelyard.ticket import TicketFilter
from traffic import MONTH, Traffic


def test_traffic_is_the_same_in_every_run() -> None:
    """Times differ and grow, weights agree, and ids are unlike each other."""
    tickets = Traffic().tickets(500)
    assert tickets == Traffic().tickets(500)
    times = [ticket.timestamp for ticket in tickets]
    assert times == sorted(set(times))
    assert len({ticket.id for ticket in tickets}) == 500
    # Each is what the model takes, though it was made without asking it.
    assert [type(one).model_validate(one.as_json()) for one in tickets] == tickets


def test_expectations_are_those_of_the_reference_filter() -> None:
    book, traffic = Book(), Traffic()
    everything = []
    for size in (450, 1, 820):
        tickets = traffic.tickets(size)
        book.add(tickets)
        everything += tickets
    assert len(book) == len(everything)
    for run in book.runs:
        start = run[0].timestamp
        month = TicketFilter(timestamp_from=start, timestamp_to=start + MONTH)
        found = [ticket for ticket in everything if month.matches(ticket)]
        assert found[:PAGE] == run
        assert book.count(start, start + MONTH) == len(found)
    for scale in book.of_scale:
        of_scale = [ticket for ticket in everything if ticket.scale_serial == scale]
        assert book.newest_of(scale, PAGE) == of_scale[::-1][:PAGE]
        assert book.of_scale[scale] == len(of_scale)
    vehicle = everything[100].vehicle
    times = [ticket.timestamp for ticket in everything if ticket.vehicle == vehicle]
    assert book.times_of(vehicle, PAGE) == times
    assert book.times_of(vehicle, 2) == times[:2]
    assert book.times_of("not seen", PAGE) == []
