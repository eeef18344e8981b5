"""Readers of CSV cells and YAML values, with the location of every fault."""

from services.register.reading.addresses import (
    read_control_target,
    read_domain,
    read_http_url,
    read_network,
    read_server_name,
    read_target,
)
from services.register.reading.csv_table import CsvRow, CsvTable, read_table
from services.register.reading.faults import FaultList, Location
from services.register.reading.headers import holds_control, is_header_name, unfit_for_grpc
from services.register.reading.values import (
    fold,
    name_key,
    read_choice,
    read_count,
    read_day,
    read_duration,
    read_flag,
    read_id,
    read_moment,
    read_name,
    read_number,
    read_share,
    read_size,
    read_slo,
    read_template,
    read_weight,
    read_whole,
)
from services.register.reading.xroad_ids import read_client, read_party, read_service
from services.register.reading.yaml_document import YamlMapping, read_document

__all__ = [
    "CsvRow",
    "CsvTable",
    "FaultList",
    "Location",
    "YamlMapping",
    "fold",
    "holds_control",
    "is_header_name",
    "name_key",
    "read_choice",
    "read_client",
    "read_control_target",
    "read_count",
    "read_day",
    "read_document",
    "read_domain",
    "read_duration",
    "read_flag",
    "read_http_url",
    "read_id",
    "read_moment",
    "read_name",
    "read_network",
    "read_number",
    "read_party",
    "read_server_name",
    "read_service",
    "read_share",
    "read_size",
    "read_slo",
    "read_table",
    "read_target",
    "read_template",
    "read_weight",
    "read_whole",
    "unfit_for_grpc",
]
