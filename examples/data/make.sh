#!/bin/sh
# Cuts the small files of the examples out of the public flights data (nycflights13: flights that left New York in 2013,
# the planes, the airports, the hourly weather). Usage: make.sh FOLDER, which holds flights.csv.gz, planes.csv,
# airports.csv, weather.csv.gz. The whole files run as well: `--input flights=FOLDER/flights.csv.gz,...`.
set -eu
from=$1
cd "$(dirname "$0")"
days='NR == 1 || ($2 == 1 && $3 <= 3)'
# The first three days of January.
zcat "$from/flights.csv.gz" | awk -F, "$days" | gzip -9n > flights.csv.gz
zcat "$from/weather.csv.gz" | awk -F, 'NR == 1 || ($3 == 1 && $4 <= 4)' | gzip -9n > weather.csv.gz
# The planes of these flights, and all airports without the columns that nobody reads.
zcat flights.csv.gz | cut -d, -f12 | sort -u > tails.tmp
awk -F, 'NR == FNR { tails[$1] = 1; next } FNR == 1 || ($1 in tails)' tails.tmp "$from/planes.csv" | gzip -9n > planes.csv.gz
rm tails.tmp
python3 -c '
import csv, gzip, io, sys
rows = list(csv.reader(open(sys.argv[1], newline="")))
text = io.StringIO()
csv.writer(text, lineterminator="\n").writerows([row[:4] for row in rows])
open("airports.csv.gz", "wb").write(gzip.compress(text.getvalue().encode(), 9, mtime=0))' "$from/airports.csv"
