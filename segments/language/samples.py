"""sample and geo: conditions on the public id and on a place."""

# ruff: noqa: ARG002 - every kind of condition has the same signature

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from segments.language.condition_sql import Place, rows_at, single
from segments.language.nodes import Node, Reading
from segments.language.person import Moment, Person
from segments.language.plan import Frame, Leaf, Test
from segments.language.reading import fault, join, read_list, read_number, read_object, read_path, read_text, shown
from segments.language.values import candidates, number_of

EARTH_RADIUS_KM = 6371.0088
BUCKETS = 2**64
LATITUDES = ("lat", "latitude")
LONGITUDES = ("lon", "lng", "longitude")


@dataclass(frozen=True, slots=True)
class Sample(Node):
    """A stable random share of people (rules 13, 15): 100·h in [offset, offset + percent)."""

    percent: Decimal
    salt: str
    offset: Decimal
    type = "sample"
    label = "Random sample"

    def sentence(self) -> str:
        start = f" from {self.offset:f} % on" if self.offset else ""
        return f"is in the random {self.percent:f} % of “{self.salt}”{start}"

    def tokens(self) -> set[str]:
        return set()

    def _digest(self, person: Person) -> bytes:
        return hashlib.sha256(f"{self.salt}{person.uuid.lower()}".encode()).digest()[:8]

    def _edges(self) -> tuple[int, int]:
        """Return the first bucket inside and the first after it, exactly."""
        low, high = Fraction(self.offset), Fraction(self.offset) + Fraction(self.percent)
        return math.ceil(low * BUCKETS / 100), math.ceil(high * BUCKETS / 100)

    def holds(self, person: Person, at: Moment) -> bool:
        low, high = self._edges()
        return low <= int.from_bytes(self._digest(person), "big") < high

    def observe(self, person: Person, at: Moment) -> Any:
        return round(100 * int.from_bytes(self._digest(person), "big") / BUCKETS, 4)

    def compile(self, frame: Frame) -> Test:
        bind = frame.plan.bind
        low, high = self._edges()
        text = f"{bind(self.salt, 'salt')} || p.uuid::text"
        bucket = f"substring(sha256(convert_to({text}, 'UTF8')) from 1 for 8)"
        tests = []
        if low:
            tests.append(f"{bucket} >= decode({bind(_hexadecimal(low), 'bucket')}, 'hex')")
        if high < BUCKETS:
            tests.append(f"{bucket} < decode({bind(_hexadecimal(high), 'bucket')}, 'hex')")
        return Leaf(" and ".join(tests) or "true")


def _hexadecimal(bucket: int) -> str:
    return bucket.to_bytes(8, "big").hex()


@dataclass(frozen=True, slots=True)
class Near(Node):
    """A place within a distance on the great circle. A place is {lat, lon} or [lat, lon], in degrees."""

    trait: tuple[str, ...]
    latitude: float
    longitude: float
    km: float
    type = "geo"
    label = "Near a place"

    def sentence(self) -> str:
        return f"{'.'.join(self.trait)} is within {self.km:g} km of {self.latitude:g}, {self.longitude:g}"

    def tokens(self) -> set[str]:
        return {f"trait:{self.trait[0]}"}

    def _distances(self, person: Person) -> list[float]:
        places = (_place(value) for value in candidates(dict(person.traits), self.trait))
        return [self._distance(*place) for place in places if place is not None]

    def _distance(self, latitude: float, longitude: float) -> float:
        return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, self._haversine(latitude, longitude))))

    def _haversine(self, latitude: float, longitude: float) -> float:
        a, b = math.radians(self.latitude), math.radians(latitude)
        half = math.sin((b - a) / 2) ** 2
        return half + math.cos(a) * math.cos(b) * math.sin(math.radians(longitude - self.longitude) / 2) ** 2

    def holds(self, person: Person, at: Moment) -> bool:
        return any(distance <= self.km for distance in self._distances(person))

    def observe(self, person: Person, at: Moment) -> Any:
        distances = self._distances(person)
        return {"km": round(min(distances), 3)} if distances else None

    def compile(self, frame: Frame) -> Test:
        rows = frame.plan.main
        place = Place(rows.traits_sql(), self.trait, normal=True)
        if len(self.trait) == 1:
            return Leaf(self._sql(single(place, frame), frame))
        return Leaf(f"exists (select 1 from {rows_at(place, frame, 'c')} where {self._sql('c.v', frame)})")

    def _sql(self, v: str, frame: Frame) -> str:
        def coordinate(index: int, keys: Iterable[str]) -> str:
            named = ", ".join(f"cdp_number({v} -> '{key}')" for key in keys)
            in_array = f"case when jsonb_array_length({v}) = 2 then cdp_number({v} -> {index}) end"
            found = f"case jsonb_typeof({v}) when 'object' then coalesce({named}) when 'array' then {in_array} end"
            return f"({found})::float8"

        bind = frame.plan.bind
        latitude, longitude = coordinate(0, LATITUDES), coordinate(1, LONGITUDES)
        here, there, km = bind(self.latitude, "latitude"), bind(self.longitude, "longitude"), bind(self.km, "km")
        haversine = (
            f"sin(radians({latitude} - {here}) / 2) ^ 2 + cos(radians({here})) * cos(radians({latitude}))"
            f" * sin(radians({longitude} - {there}) / 2) ^ 2"
        )
        inside = f"{latitude} between -90 and 90 and {longitude} between -180 and 180"
        return f"case when {inside} then {2 * EARTH_RADIUS_KM} * asin(sqrt(least(1, {haversine}))) <= {km} end"


def _place(value: Any) -> tuple[float, float] | None:
    latitude = longitude = None
    if isinstance(value, dict):
        latitude = next((n for key in LATITUDES if (n := number_of(value.get(key))) is not None), None)
        longitude = next((n for key in LONGITUDES if (n := number_of(value.get(key))) is not None), None)
    elif isinstance(value, list) and len(value) == 2:
        latitude, longitude = map(number_of, value)
    if latitude is None or longitude is None or not -90 <= latitude <= 90 or not -180 <= longitude <= 180:
        return None
    return float(latitude), float(longitude)


def read_sample(data: Mapping[str, Any], reading: Reading) -> Sample:
    """Read a sample node."""
    data = read_object(data, reading.path, required=("type", "percent", "salt"), optional=("offset",))
    percent = read_number(data["percent"], join(reading.path, "percent"))
    offset = read_number(data.get("offset", 0), join(reading.path, "offset"))
    if not 0 < percent <= 100 or not 0 <= offset < 100 or offset + percent > 100:
        raise fault(reading.path, "invalid_value", "percent and offset must lie within 0 and 100, together too")
    return Sample(reading.path, percent, read_text(data["salt"], join(reading.path, "salt"), empty=True), offset)


def read_near(data: Mapping[str, Any], reading: Reading) -> Near:
    """Read a geo node."""
    data = read_object(data, reading.path, required=("type", "path", "near", "km"))
    at = join(reading.path, "near")
    near = read_list(data["near"], at, read_number, most=2)
    if len(near) != 2 or abs(near[0]) > 90 or abs(near[1]) > 180:
        raise fault(at, "invalid_value", f"must be [latitude, longitude] in degrees, not {shown(data['near'])}")
    km = read_number(data["km"], join(reading.path, "km"))
    if not 0 < km <= 20_100:
        raise fault(join(reading.path, "km"), "invalid_value", "must be more than 0 and at most 20100")
    trait = read_path(data["path"], join(reading.path, "path"))
    return Near(reading.path, trait, float(near[0]), float(near[1]), float(km))
