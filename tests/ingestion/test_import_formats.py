"""The same rows in every format; archives of messages; events."""

import datetime as dt
import gzip
import io
import json
import zipfile

import openpyxl
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from ingestion.errors import InvalidImport
from ingestion.imports.read_parquet import read_parquet
from ingestion.imports.reading import open_rows, read_sample
from ingestion.imports.shape import detect_shape
from ingestion.models import Message
from tests.ingestion.filing import command, counts, import_file, traits, write
from tests.profiles.sending import outcomes, partition, send, track

# Tables mostly hold times without a zone.
NOON = dt.datetime(2024, 2, 29, 12)  # noqa: DTZ001
NEW_YEAR = dt.datetime(2025, 1, 1)  # noqa: DTZ001
ROWS = [
    {"id": "1", "name": "Zoë", "age": 34, "score": 1.5, "member": True, "since": NOON},
    {"id": "2", "name": "Bo", "age": 51, "score": 2.0, "member": False, "since": NEW_YEAR},
]
EXPECTED = {
    "1": {"name": "Zoë", "age": 34, "score": 1.5, "member": True, "since": "2024-02-29T12:00:00"},
    "2": {"name": "Bo", "age": 51, "score": 2, "member": False, "since": "2025-01-01T00:00:00"},
}


@pytest.fixture(autouse=True)
def data_directory(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path / "data"


def as_json_lines():
    return b"".join(orjson.dumps(row) + b"\n" for row in ROWS)


def as_parquet():
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out, row_group_size=1)
    return out.getvalue()


def as_xlsx():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(ROWS[0]))
    for row in ROWS:
        sheet.append(list(row.values()))
        sheet.append([])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def as_csv():
    return "id,name,age,score,member,since\n" + "".join(
        ",".join(
            [row["id"], row["name"], str(row["age"]), str(row["score"]), str(row["member"]), row["since"].isoformat()]
        )
        + "\n"
        for row in ROWS
    )


FORMATS = {
    "csv": lambda: as_csv().encode(),
    "csv with a mark": lambda: as_csv().encode("utf-8-sig"),
    "csv packed": lambda: gzip.compress(as_csv().encode()),
    "json lines": as_json_lines,
    "json lines packed": lambda: gzip.compress(as_json_lines()),
    "parquet": as_parquet,
    "xlsx": as_xlsx,
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", FORMATS)
def test_reads_the_same_rows_from_each_format(tmp_path, name):
    answer = import_file(write(tmp_path / "file", FORMATS[name]()), "--key", "id")
    assert counts(answer) == {"created": 2}
    assert traits() == EXPECTED


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("start", [0, 1, 2])
def test_passes_over_rows_that_are_in(name, start):
    file = io.BytesIO(FORMATS[name]())
    shape = detect_shape(file)
    rows = list(open_rows(file, shape, start=start))
    assert [row["id"] if isinstance(row, dict) else row[0] for row in rows] == ["1", "2"][start:]


ARCHIVE = [
    {
        "type": "identify", "userId": "u-1", "messageId": "a-1", "traits": {"plan": "gold", "email": "ana@x.example"},
        "timestamp": "2024-05-01T10:00:00.000Z", "originalTimestamp": "2024-05-01T10:00:01.000Z",
        "sentAt": "2024-05-01T10:00:02.000Z", "receivedAt": "2024-05-01T10:00:03.000Z", "version": 2,
        "context": {"library": {"name": "analytics-node"}}, "integrations": {},
    },
    {
        "type": "track", "userId": "u-1", "messageId": "a-2", "event": "Order Completed",
        "properties": {"revenue": 9.5},
        "timestamp": "2024-05-02T10:00:00.000Z", "originalTimestamp": "2024-05-02T10:00:00.000Z",
        "sentAt": "2024-05-02T10:00:00.000Z",
    },
    {"type": "track", "userId": "u-1", "messageId": "a-3"},
]  # fmt: skip


@pytest.mark.django_db
def test_reads_an_archive_of_messages_with_their_own_ids_and_times(tmp_path):
    file = write(tmp_path / "archive.gz", gzip.compress(b"".join(orjson.dumps(one) + b"\n" for one in ARCHIVE)))
    answer = import_file(file, source="segment")
    assert counts(answer) == {"created": 1, "updated": 1, "rejected": 1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT message_id, name, occurred_at FROM profiles_event ORDER BY occurred_at")
        found = cursor.fetchall()
    assert found == [
        ("a-1", "", dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)),
        ("a-2", "Order Completed", dt.datetime(2024, 5, 2, 10, tzinfo=dt.UTC)),
    ]
    # The same archive once more adds nothing; the bad line is refused again.
    assert counts(import_file(file, source="segment")) == {"duplicate": 2, "rejected": 1}
    # What was refused does not stand in the way of a good line with the same id.
    good = {**ARCHIVE[2], "event": "Order Refunded"}
    assert counts(import_file(write(tmp_path / "good", orjson.dumps(good)), source="segment")) == {"updated": 1}


@pytest.mark.django_db
def test_reads_events_of_people_who_are_known(tmp_path):
    send(track("Signed Up", "u-1"))
    text = "line,user,product,amount,at\nL1,u-1,tea,2.5,2024-03-01 09:30:00\nL2,u-2,milk,1,1709285400\n"
    options = ("--records", "events", "--event", "Bought", "--identifier", "user=user_id", "--key", "line")
    answer = import_file(write(tmp_path / "e.csv", text), *options, "--time", "at")
    assert counts(answer) == {"created": 1, "updated": 1}
    assert partition() == {frozenset({"user_id:u-1"}), frozenset({"user_id:u-2"})}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT properties::text, occurred_at FROM profiles_event WHERE name = 'Bought' ORDER BY occurred_at, id"
        )
        found = [(json.loads(row[0]), row[1]) for row in cursor.fetchall()]
    moment = dt.datetime(2024, 3, 1, 9, 30, tzinfo=dt.UTC)
    assert found == [({"product": "tea", "amount": 2.5}, moment), ({"product": "milk", "amount": 1}, moment)]
    assert counts(import_file(write(tmp_path / "e.csv", text), *options)) == {"duplicate": 2}
    assert outcomes()["accepted"] == 3


@pytest.mark.django_db
def test_an_older_row_does_not_change_a_newer_trait(tmp_path):
    import_file(write(tmp_path / "a.csv", "id,plan,at\n1,gold,2025-06-01\n"), "--key", "id", "--time", "at")
    text = "id,plan,at\n1,silver,2024-01-01\n1,red,soon\n"
    answer = import_file(write(tmp_path / "b.csv", text), "--key", "id", "--time", "at")
    assert counts(answer) == {"unchanged": 1, "rejected": 1}
    assert traits()["1"] == {"plan": "gold"}


@pytest.mark.django_db
def test_a_chosen_type_is_strict_and_an_inferred_one_is_not(tmp_path):
    rows = "id,n\n" + "".join(f"{number},{number}\n" for number in range(1000)) + "x,many\n"
    file = write(tmp_path / "n.csv", rows)
    assert counts(import_file(file, "--key", "id")) == {"created": 1001}
    assert traits()["x"] == {"n": "many"}
    answer = import_file(file, "--key", "id", "--type", "n=number", source="strict")
    assert counts(answer) == {"created": 1000, "rejected": 1}


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        archive.writestr("xl/sharedStrings.xml", b"\0" * (300 * 1024 * 1024))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb, "unpacks to more than"),
        (lambda: gzip.compress(gzip.compress(b"id\n1\n")), "packed twice"),
        (lambda: gzip.compress(b"id\n" + b"".join(b"%01000d\n" % n for n in range(1500)))[:-100], "damaged"),
        (lambda: as_parquet()[:-20], "Parquet"),
        (lambda: as_xlsx()[: len(as_xlsx()) // 2], "damaged"),
    ],
)
@pytest.mark.django_db
def test_refuses_what_is_damaged_or_made_to_hurt(tmp_path, content, words):
    out, err, code = command("crm", str(write(tmp_path / "file", content())), "--key", "id")
    assert code in (1, 2)
    assert words in err, (out, err)
    assert Message.objects.count() == 0 or code == 1


def parquet_of_one_value(size, rows):
    """Return a file of some kilobytes: the value stands in it once, however many rows have it."""
    places = pa.array([0] * rows, pa.int32())
    out = io.BytesIO()
    table = pa.table({"name": pa.DictionaryArray.from_arrays(places, ["x" * size])})
    pq.write_table(table, out, compression="zstd", store_schema=False)
    assert len(out.getvalue()) < 100_000
    return out


def test_unpacks_a_value_that_repeats_a_part_of_the_rows_at_a_time():
    file = parquet_of_one_value(200_000, 2_000)
    before, most = pa.total_allocated_bytes(), 0
    for number, row in enumerate(read_parquet(file)):
        assert len(row[0]) == 200_000
        if number % 100 == 0:
            most = max(most, pa.total_allocated_bytes() - before)
    # All at once would be 400 MB.
    assert most < 100_000_000


def test_refuses_a_value_that_no_row_could_hold():
    with pytest.raises(InvalidImport, match="longer than"):
        list(read_parquet(parquet_of_one_value(1024 * 1024 + 1, 10)))


def test_survives_lines_and_cells_of_any_length():
    text = b'id,name\n1,a\n2,"' + b"x" * 3_000_000 + b'"\n3,c\n4,"' + b"y" * 200_000 + b'"\n5,e\n'
    file = io.BytesIO(text)
    shape = detect_shape(file)
    rows = [row if isinstance(row, list) else row.code for row in open_rows(file, shape)]
    assert rows == [["1", "a"], "row_too_long", ["3", "c"], "bad_row", ["5", "e"]]


def test_infers_types_from_the_first_rows():
    file = io.BytesIO(
        b"n,zip,code,flag,when,street_number,mixed\n1,01234,7,true,2024-01-01,7,1\n2.5,20000,8,FALSE,,8,x\n"
    )
    assert read_sample(file, detect_shape(file)).types == {
        "n": "number",
        "zip": "text",
        "code": "text",
        "flag": "boolean",
        "when": "time",
        "street_number": "text",
        "mixed": "text",
    }
