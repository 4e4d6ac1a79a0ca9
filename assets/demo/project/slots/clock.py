"""Times of day as people write them."""


def parse(text):
    """'09:00-10:30' as (540, 630)."""
    start, end = (_minutes(part) for part in text.split("-"))
    if end <= start:
        raise ValueError(f"{text} ends before it starts")
    return start, end


def show(interval):
    """(540, 630) as '09:00-10:30'."""
    return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in interval)


def _minutes(text):
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
