"""`manage.py create_import` of CSV files, into the real database."""

import json

import pytest

from cdp.core.models import AuditEntry
from cdp.core.sealed_files import sealed_directory
from consent.services.suppressions import suppress_identifier
from ingestion.models import Import, Message, Source
from ingestion.queries.status import read_status
from profiles.models import Identifier, Merge, Profile
from profiles.queries.people import name_identifier
from tests.ingestion.door import event_count
from tests.ingestion.filing import PEOPLE, command, counts, import_file, now, traits, write
from tests.profiles.sending import identify, partition, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_directory(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path / "data"


def test_makes_a_profile_of_each_row(tmp_path):
    answer = import_file(write(tmp_path / "people.csv", PEOPLE), "--key", "id", "--identifier", "email=email")
    assert (answer["status"], answer["rows"], counts(answer)) == ("done", 2, {"created": 2})
    assert partition() == {
        frozenset({"record_id:crm/1", "email:ana@x.example"}),
        frozenset({"record_id:crm/2", "email:bo@x.example"}),
    }
    # The key and what is an identifier become no traits; numbers are numbers.
    assert traits() == {"1": {"first": "Ana", "age": 34}, "2": {"first": "Bo", "age": 51}}
    assert Source.objects.get().kind == "import"


def test_makes_no_identifier_of_a_column_that_is_not_named_as_one(tmp_path):
    import_file(write(tmp_path / "people.csv", PEOPLE), "--key", "id")
    assert set(Identifier.objects.values_list("type__key", flat=True)) == {"record_id"}
    assert traits()["1"]["email"] == "ana@x.example"


def test_renames_and_ignores_columns(tmp_path):
    import_file(
        write(tmp_path / "people.csv", PEOPLE),
        *("--key", "id", "--trait", "first=first_name", "--ignore", "age", "--identifier", "email=email"),
        *("--trait", "email=email"),
    )
    assert traits()["2"] == {"first_name": "Bo", "email": "bo@x.example"}


def test_tells_created_updated_and_unchanged_rows_apart(tmp_path):
    import_file(write(tmp_path / "people.csv", PEOPLE), "--key", "id")
    again = PEOPLE.replace(",51", ",52") + "3,cy@x.example,Cy,20\n"
    answer = import_file(write(tmp_path / "again.csv", again), "--key", "id")
    assert counts(answer) == {"created": 1, "updated": 1, "unchanged": 1}
    assert traits()["2"]["age"] == 52


def test_joins_a_row_to_the_profile_that_holds_its_identifier(tmp_path):
    send(identify("u-1", email="ana@x.example", plan="gold"))
    answer = import_file(write(tmp_path / "people.csv", PEOPLE), "--key", "id", "--identifier", "email=email")
    assert counts(answer) == {"created": 1, "updated": 1}
    assert frozenset({"user_id:u-1", "email:ana@x.example", "record_id:crm/1"}) in partition()
    assert traits()["1"] == {"plan": "gold", "email": "ana@x.example", "first": "Ana", "age": 34}


def test_merges_two_profiles_that_a_row_names_both(tmp_path):
    send(identify("u-1", plan="gold"), identify("", "", email="ana@x.example"))
    file = write(tmp_path / "people.csv", "id,user,email\n1,u-1,ana@x.example\n")
    import_file(file, "--key", "id", "--identifier", "user=user_id", "--identifier", "email=email")
    assert Profile.objects.count() == 1
    assert Merge.objects.get().kind == Merge.Kind.IMPORT


def test_counts_its_rows_in_the_source(tmp_path):
    import_file(write(tmp_path / "people.csv", PEOPLE + ",x@x.example,No,1\n"), "--key", "id")
    row = next(one for one in read_status(since=None, until=None, now=now())["per_source"] if one["source"] == "crm")
    assert (row["received"], row["accepted"], row["rejected"]) == (3, 2, 1)
    assert (Message.objects.count(), event_count()) == (3, 2)


def test_refuses_bad_rows_one_by_one_and_says_why(tmp_path):
    text = 'id,name\n1,Ana\n,Nobody\n3,too,many\n4\n\n"5","multi\nline"\n6,nul\0byte\n'
    answer = import_file(write(tmp_path / "bad.csv", text), "--key", "id")
    assert counts(answer) == {"created": 3, "rejected": 3}
    refused = Import.objects.get().refused_rows.order_by("number")
    assert [(row.number, row.code) for row in refused] == [(2, "no_key"), (3, "wrong_cells"), (4, "wrong_cells")]
    assert json.loads(bytes(refused[0].payload)) == {"name": "Nobody"}
    assert traits()["5"] == {"name": "multi\nline"}
    assert traits()["6"] == {"name": "nul\ufffdbyte"}


def test_keeps_leading_zeros_signs_and_formulas_as_they_are(tmp_path):
    text = "id,zip,phone,delta,note,flag\n1,02134,+4930123,-5,=1+1,true\n2,10115,+4930124,7.5,@x,FALSE\n"
    import_file(write(tmp_path / "odd.csv", text), "--key", "id")
    assert traits()["1"] == {"zip": "02134", "phone": "+4930123", "delta": -5, "note": "=1+1", "flag": True}
    assert traits()["2"] == {"zip": "10115", "phone": "+4930124", "delta": 7.5, "note": "@x", "flag": False}


def test_an_empty_cell_says_nothing(tmp_path):
    import_file(write(tmp_path / "a.csv", PEOPLE), "--key", "id")
    answer = import_file(write(tmp_path / "b.csv", "id,first,age\n1,,\n"), "--key", "id")
    assert counts(answer) == {"unchanged": 1}
    assert traits()["1"]["first"] == "Ana"


def test_refuses_rows_of_suppressed_people(tmp_path):
    named = name_identifier(type="email", value="ana@x.example")
    suppress_identifier(named=named, reason="asked by letter", actor="system", now=now())
    answer = import_file(write(tmp_path / "p.csv", PEOPLE), "--key", "id", "--identifier", "email=email")
    assert counts(answer) == {"created": 1, "suppressed": 1}
    assert "ana" not in str(traits())
    # Of a suppressed person nothing is kept.
    assert [row.payload for row in Import.objects.get().refused_rows.all()] == [None]


def test_dry_run_tells_the_same_and_writes_nothing(tmp_path):
    send(identify("", "", email="ana@x.example"))
    before = event_count()
    file = write(tmp_path / "people.csv", PEOPLE + ",x,No,1\n2,bo@x.example,Bo,51\n")
    options = ("--key", "id", "--identifier", "email=email")
    out, err, code = command("crm", str(file), *options, "--dry-run")
    first, *faults = out.splitlines()
    answer = json.loads(first)
    assert (err, code, answer["rows"]) == ("", 0, 4)
    assert counts(answer) == {"created": 1, "updated": 2, "rejected": 1}
    assert faults == ["row 3: The row has no key. (no_key)"]
    assert (Import.objects.count(), Source.objects.filter(key="crm").count(), event_count()) == (0, 0, before)
    # The row that comes twice meets a profile of this file: whether it changes anything, only the import knows.
    assert counts(import_file(file, *options)) == {"created": 1, "updated": 1, "unchanged": 1, "rejected": 1}


def test_finds_delimiter_and_encoding_or_takes_them(tmp_path):
    text = "id;Straße;Ort\n1;Große Gasse, 7;Köln\n2;Weg 1;Düsseldorf\n"
    import_file(write(tmp_path / "a.csv", text.encode("cp1252")), "--key", "id", source="found")
    assert traits()["1"] == {"Straße": "Große Gasse, 7", "Ort": "Köln"}
    import_file(
        write(tmp_path / "b.csv", text.replace(";", "\t").encode("utf-16")), "--key", "id", "--delimiter", "tab"
    )
    assert traits()["2"] == {"Straße": "Weg 1", "Ort": "Düsseldorf"}


def test_leaves_no_file_behind(tmp_path):
    import_file(write(tmp_path / "people.csv", PEOPLE), "--key", "id")
    assert list(sealed_directory().iterdir()) == []
    assert [entry.action for entry in AuditEntry.objects.order_by("id") if entry.action.startswith("import.")] == [
        "import.uploaded",
        "import.started",
        "import.finished",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["crm", "FILE"], "Name the key"),
        (["crm", "FILE", "--key", "nothing"], "no column 'nothing'"),
        (["crm", "FILE", "--key", "id", "--identifier", "email=mail"], "not an identifier type"),
        (["crm", "FILE", "--key", "id", "--identifier", "email=record_id"], "not an identifier type"),
        (["crm", "FILE", "--key", "id", "--identifier", "email"], "COLUMN=NAME"),
        (["crm", "FILE", "--key", "id", "--ignore", "x"], "no column 'x'"),
        (["crm", "FILE", "--key", "id", "--trait", "first=age"], "would both become"),
        (["a b", "FILE", "--key", "id"], "name of a source"),
        (["crm", "FILE", "--key", "id", "--delimiter", "ab"], "one character"),
        (["crm", "/nowhere/at/all.csv", "--key", "id"], "No such file"),
    ],
)
def test_ends_with_2_and_a_sentence(tmp_path, arguments, words):
    file = write(tmp_path / "people.csv", PEOPLE)
    out, err, code = command(*[str(file) if one == "FILE" else one for one in arguments])
    assert (out, code) == ("", 2)
    assert words in err
    assert Import.objects.count() == 0
    assert not any(sealed_directory().iterdir())
