"""Values for the Helm chart, and look-ups in the documents that it renders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.support.helm_chart import Document, render

__all__ = ["CASES", "EVERYTHING", "LEAST", "documents", "of_kind", "pods_of", "selects"]

LEAST = {
    "nats": {"url": "tls://nats:4222"},
    "register": {"volume": {"configMap": {"name": "register"}}},
    "vantages": [{"name": "main", "secret": "peyvand-prober-main"}],
}
EVERYTHING = {
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": ["registry"]},
    "nats": {
        "url": "tls://nats-1:4222,tls://nats-2:4222",
        "ca": {"secret": "bus-ca"},
        "certificate": {"secret": "bus-client"},
        "peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    },
    "register": {"volume": {"persistentVolumeClaim": {"claimName": "register", "readOnly": True}}},
    "vantages": [
        {"name": "north", "secret": "prober-north", "replicas": 3, "nodeSelector": {"zone": "north"}},
        {"name": "south", "secret": "prober-south", "replicas": 1, "settings": {"spool_limit": 1 << 30, "inflight": 500}},
    ],
    "prober": {
        "settings": {"prefer_x25519": True, "log_level": "debug"},
        "spool": {"size": "2Gi", "storageClass": "fast"},
        "env": [{"name": "TAX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "tax"}}}],
        "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
        "volumeMounts": [{"name": "keys", "mountPath": "/etc/keys", "readOnly": True}],
        "tolerations": [{"key": "probing", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "scorer": {"replicas": 2, "settings": {"accept_gap": True}},
    "archive": {"settings": {"archive": "s3://evidence/peyvand"}, "env": [{"name": "AWS_PROFILE", "value": "peyvand"}]},
    "buses": [
        {
            "name": "xroad",
            "secret": "collector",
            "sources": {"secret": {"secretName": "sources"}},
            "settings": {"span_days": 2.5},
        },
    ],
    "collector": {"settings": {"span_days": 7}},
    "api": {"tls": {"secret": "api-tls"}, "clients": {"secret": "api-clients", "revoked": "crl.pem"}, "service": {"annotations": {"a": "b"}}},
    "console": {
        "settings": {
            "audience": "signed",
            "console_url": "https://peyvand.example",
            "oidc_issuer": "https://id.example",
            "oidc_client": "peyvand",
        },
        "api": {"secret": "console-tls"},
        "signIn": {"secret": "console-sign-in"},
    },
    "rounds": {"volume": {"persistentVolumeClaim": {"claimName": "rounds", "readOnly": True}}},
    "openData": {"volume": {"persistentVolumeClaim": {"claimName": "open-data", "readOnly": True}}},
    "monitoring": {"enabled": True, "dashboards": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "m"}}}], "apiFrom": [{"podSelector": {}}], "archiveTo": [{"podSelector": {}}]},
    "priorityClassName": "high",
    "podAnnotations": {"note": "x"},
    "podLabels": {"team": "data-bus"},
}  # fmt: skip
OFF = (
    "busInit",
    "register",
    "scorer",
    "archive",
    "api",
    "console",
    "monitoring",
    "networkPolicy",
    "podDisruptionBudget",
)
CASES = {
    "least": LEAST,
    "everything": EVERYTHING,
    **{f"without {name}": {**EVERYTHING, name: {"enabled": False}} for name in OFF},
    "a vantage elsewhere": {
        **LEAST,
        **{name: {"enabled": False} for name in ("busInit", "register", "scorer", "archive", "api", "console")},
        "monitoring": {"enabled": True},
    },
    "all off": {**LEAST, **{name: {"enabled": False} for name in OFF}},
}


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    return [one for one in documents if one["kind"] == kind]


def pods_of(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    for one in documents:
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.fixture(params=CASES, scope="module")
def documents(request: pytest.FixtureRequest) -> list[Document]:
    """The documents of each case."""
    return render(CASES[request.param])
