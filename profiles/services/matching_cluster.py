"""Where candidates are found and scored: on this machine, or on a Spark cluster (`CDP_SPARK_URL`)."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from profiles.errors import ClusterFailed

if TYPE_CHECKING:
    from profiles.matching.model import Find


@contextmanager
def on_cluster(url: str) -> "Iterator[Find]":
    """Give what finds and scores candidates at a URL; for an empty one, on this machine.

    Parameters
    ----------
    url : str
        As `CDP_SPARK_URL`: ``spark://HOST:PORT``, ``yarn``, ``k8s://…``, ``local[N]``.

    Raises
    ------
    ClusterFailed
        If pyspark or Java is missing here, or the cluster is not there or fails.
    """
    # The packages of matching may be missing, and pyspark mostly is.
    from profiles.matching.model import find_and_score  # noqa: PLC0415

    if not url:
        yield find_and_score
        return
    if find_spec("pyspark") is None or shutil.which("java") is None:
        message = "Spark needs its packages (`make installed-spark`) and a Java runtime on this machine."
        raise ClusterFailed(message)
    from profiles.matching.spark import ClusterFailure, find_on_spark, spark_session  # noqa: PLC0415

    try:
        with spark_session(url) as session:
            yield partial(find_on_spark, session)
    except ClusterFailure as error:
        message = f"The Spark cluster is not there, or failed ({error}); this machine's log of matching says more."
        raise ClusterFailed(message) from error
