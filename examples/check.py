#!/usr/bin/env python3
"""Computes what the four examples should put out a second time, in another way (SQLite and plain Python, nothing of
esp-mesh), and compares it with their expected.csv. Run it from the root of the repository: python3 examples/check.py"""

import csv
import datetime
import gzip
import math
import sqlite3
import sys

DATA = "examples/data/"
HOUR = 3600


def table(name):
    with gzip.open(f"{DATA}{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def seconds(text):
    return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp())


def number(text):
    return None if text in ("NA", "") else float(text)


def expected(example):
    with open(f"examples/{example}/expected.csv", newline="") as file:
        lines = [line.split(", ", 1)[-1] if at else line for at, line in enumerate(file)]
    return list(csv.DictReader(lines))


def shown(value):
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def compare(example, rows):
    found = [list(row.values()) for row in expected(example)]
    wanted = [[shown(value) for value in row] for row in rows]
    for at, (a, b) in enumerate(zip(found, wanted)):
        same = len(a) == len(b) and all(x == y or close(x, y) for x, y in zip(a, b))
        if not same:
            sys.exit(f"{example}: row {at + 1}: expected.csv has {a}, computed {b}")
    if len(found) != len(wanted):
        sys.exit(f"{example}: expected.csv has {len(found)} rows, computed {len(wanted)}")
    print(f"{example}: {len(found)} rows agree")


def close(a, b):
    """The last printed digit may be rounded the other way."""
    try:
        return abs(float(a) - float(b)) <= 1.1e-6 * max(1.0, abs(float(a)) * 1e-3)
    except ValueError:
        return False


def carrier_delay(flights):
    """For every event that changes a carrier: the state of the carrier, recomputed from all rows that are held."""
    held, newest, out = [], None, []

    def state(carrier):
        rows = [row for row in held if row[1] == carrier]
        if rows:
            delays = [row[2] for row in rows]
            out.append([carrier, len(rows), sum(delays) / len(rows), max(delays), max(row[0] for row in rows) * 10**6])

    for flight in flights:
        delay = number(flight["dep_delay"])
        if delay is None:
            continue
        row = (seconds(flight["time_hour"]), flight["carrier"], delay)
        newest = row[0] if newest is None else max(newest, row[0])
        held.append(row)
        state(row[1])
        # What is three hours older than the newest goes, in the order in which it came.
        for old in [row for row in held if row[0] <= newest - 3 * HOUR]:
            held.remove(old)
            state(old[1])
    return out


def late_aircraft(flights):
    """A join of the flights with themselves: for each late arrival the first late departure of the plane behind it."""
    db = sqlite3.connect(":memory:")
    db.execute("create table f (n integer, tail text, dest text, arr real, dep real, at integer)")
    for n, f in enumerate(flights):
        tail = None if f["tailnum"] in ("NA", "") else f["tailnum"]
        row = (n, tail, f["dest"], number(f["arr_delay"]), number(f["dep_delay"]), seconds(f["time_hour"]))
        db.execute("insert into f values (?, ?, ?, ?, ?, ?)", row)
    db.execute("create index i on f (tail, n)")
    # The clock of the pattern is the newest time so far: twelve hours after the arrival the wait is over.
    rows = db.execute(
        """select a.tail, a.dest, a.arr, b.dest, b.dep, b.at from f a join f b on b.n =
             (select min(n) from f x where x.tail = a.tail and x.n > a.n and x.dep > 30)
           where a.tail is not null and a.arr > 30
             and (select max(at) from f x where x.n <= b.n) <= a.at + 12 * 3600
           order by b.n, a.n"""
    )
    return [[n, *row[:5], row[5] * 10**6] for n, row in enumerate(rows)]


def flights_joined(flights):
    planes = {plane["tailnum"]: plane for plane in table("planes")}
    weather = {(row["origin"], row["time_hour"]): row for row in table("weather")}
    out = []
    for n, f in enumerate(flights):
        plane = planes.get(f["tailnum"], {})
        hour = weather.get((f["origin"], f["time_hour"]), {})
        values = [number(hour.get(name, "NA")) for name in ("temp", "wind_speed", "visib")]
        row = [n, f["carrier"], f["flight"], f["origin"], f["dest"], number(f["dep_delay"])]
        out.append(row + [plane.get("manufacturer"), plane.get("seats"), *values])
    return out


def airport_neighbours(_):
    airports = [(a["faa"], a["name"], float(a["lat"]), float(a["lon"])) for a in table("airports")]

    def metres(a, b):
        la, lb = math.radians(a[2]), math.radians(b[2])
        half = math.sin((lb - la) / 2) ** 2
        half += math.cos(la) * math.cos(lb) * math.sin(math.radians(b[3] - a[3]) / 2) ** 2
        return 2 * 6371010 * math.asin(math.sqrt(half))

    out = []
    for a in airports:
        near = sorted((metres(a, b), at) for at, b in enumerate(airports) if abs(a[2] - b[2]) < 0.2)
        for place, (distance, at) in enumerate(row for row in near if row[0] <= 10000):
            if airports[at][0] != a[0]:
                out.append([*a, airports[at][0], airports[at][1], distance, place])
    return out


def main():
    flights = table("flights")
    compare("carrier-delay", carrier_delay(flights))
    compare("late-aircraft", late_aircraft(flights))
    compare("flights-joined", flights_joined(flights))
    compare("airport-neighbours", airport_neighbours(flights))


main()
