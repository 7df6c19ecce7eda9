"""What queries look at: settings of jobs, and of each output its best value with its direction. Rows that are there already are
read again from their folders by the supervisor (`index_version` 0), or by `digits jobs reindex`."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from digits.storage.jobs.tables import JobRow, OutputRow, SettingRow

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    bind = op.get_bind()
    tables = sa.inspect(bind)
    of_outputs = ("best", "best_epoch", "better", "unit")
    for model, names in ((JobRow, ("sweep", "fold", "words", "index_version")), (OutputRow, of_outputs)):
        table: Any = model.__table__
        if not tables.has_table(table.name):
            continue
        known = {column["name"] for column in tables.get_columns(table.name)}
        for name in names:
            if name not in known:
                op.add_column(table.name, _alike(table.columns[name]))
        there = {index["name"] for index in sa.inspect(bind).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in there:
                index.create(bind)
    SettingRow.__table__.create(bind, checkfirst=True)  # type: ignore[attr-defined]


def _alike(column: Any) -> sa.Column[Any]:
    default = column.server_default
    return sa.Column(
        column.name, column.type, nullable=column.nullable, server_default=default.arg if default is not None else None
    )
