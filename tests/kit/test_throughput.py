from app.kit.throughput import Throughput


def test_the_rate_is_that_of_the_last_moment() -> None:
    now = 100.0
    throughput = Throughput(clock=lambda: now)
    assert throughput.per_second == 0
    throughput.add(500)
    assert throughput.per_second == 2000
    now += 0.25
    assert throughput.per_second == 2000
    now += 0.25
    assert throughput.per_second == 0
