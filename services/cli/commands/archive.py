"""Declares ``peyvand archive``, which makes and changes keys, and verifies, proves and witnesses datasets.

Without a command it runs the component.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import command_group, read_day_option, read_key_option
from services.core.errors import InputError, SettingsError, reason_of

app = command_group(
    "Make keys, verify sealed evidence, and witness its log.",
    epilog="Without a command, `peyvand archive` runs the archive; docs/settings.md has its flags.",
)

Dataset = Annotated[str, typer.Argument(help="Folder or address of the dataset, such as s3://bucket/path.")]
LogKey = Annotated[
    str,
    typer.Option("--key", metavar="KEY", help="A public key of the log, as its owner published it, or a file with it."),
]


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Name of the log, such as peyvand.example/archive.")],
    file: Annotated[Path, typer.Argument(help="Where to write the private key.")],
    of_witness: Annotated[bool, typer.Option("--witness", help="Make the key of a witness.")] = False,
) -> None:
    """Make a key, write it to a file, and print its public key."""
    from services.core.files import write_secret
    from services.dataset.log import LOG, WITNESS, SigningKey

    try:
        made = SigningKey.generate(name, WITNESS if of_witness else LOG)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from error
    try:
        write_secret(file, made.text().encode())
    except OSError as error:
        raise SettingsError(f"the key cannot be written to {file}: {error.strerror}") from error
    typer.echo(str(made.public))


@app.command()
def public_key(file: Annotated[Path, typer.Argument(help="The private key.")]) -> None:
    """Print the public key of a private one."""
    from services.dataset.log import SigningKey

    typer.echo(str(SigningKey.read(file).public))


@app.command()
def change_key(
    dataset: Dataset,
    former: Annotated[Path, typer.Option("--sign", metavar="FILE", help="Private key that signed the log so far.")],
    new: Annotated[Path, typer.Option("--new-key", metavar="FILE", help="Private key that signs from now on.")],
) -> None:
    """Change the key of a log whose archive is stopped.

    A leaf of the log names the new key, and has the consent of the former one. If the command was interrupted, run it
    again.
    """
    from services.dataset.days import LogFiles
    from services.dataset.log import LOG, SigningKey
    from services.dataset.storage import open_dataset, sole_writer

    log, signing, following = LogFiles(open_dataset(dataset)), SigningKey.read(former, LOG), SigningKey.read(new, LOG)
    with sole_writer(dataset):
        changed = log.change_key(signing, following)
    typer.echo(
        f"leaf {changed.size - 1} of the log names this key; publish it beside the former one:\n{following.public}"
    )


@app.command()
def verify(dataset: Dataset, key_text: LogKey = "") -> None:
    """Check every file of a dataset, and its log.

    It needs neither the bus nor a register, and lists every fault. It also prints what was lost or inserted before it
    reached the archive. Without --key, the signature is not checked. A day that is being sealed is left out.
    """
    from services.dataset.days import LogFiles, run_faults, verify
    from services.dataset.storage import open_dataset

    storage = open_dataset(dataset)
    public = read_key_option(key_text) if key_text else None
    days: list[str] = []

    def progress(day: str) -> None:
        days.append(day)
        typer.echo(f"verifying {day}", err=True)

    def unfinished(day: str) -> None:
        typer.echo(f"{day} is being sealed, so its files were not verified", err=True)

    if faults := verify(storage, public, progress=progress, unfinished=unfinished):
        raise InputError(f"the dataset {dataset}", faults)
    sealed = [manifest for _, manifest in LogFiles(storage).manifests() if manifest.day in days]
    if not days:
        raise SettingsError(f"{dataset} holds no sealed day: name the folder that has log/ and sealed/")
    signed = "signed by its key" if public else "its signature was not checked: name the key with --key"
    for manifest in sealed:
        for fault in (*(f"{manifest.day}: {gap}" for gap in manifest.gaps), *run_faults(manifest)):
            typer.echo(fault)
    typer.echo(f"{dataset} is whole: {len(days)} days from {min(days)} to {max(days)}, {signed}")


@app.command()
def prove(
    day: Annotated[str, typer.Argument(help="A sealed day, YYYY-MM-DD.")],
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder for the proof and the manifest that it proves.")] = Path(),
) -> None:
    """Write the proof that a day is in the log.

    The changes of the log's key are proven too. Proofs are verified without the dataset and its log
    (c2sp.org/tlog-proof).
    """
    from services.dataset.days import LogFiles, key_changes, signed_leaves
    from services.dataset.storage import open_dataset

    day = read_day_option("DAY", day).isoformat()
    log = LogFiles(open_dataset(dataset))
    leaves, checkpoint = log.read()
    places = [number for number, manifest in log.manifests(leaves) if manifest.day == day]
    if not places:
        raise SettingsError(f"{day} is not sealed in {dataset}")
    changes = key_changes(signed_leaves(leaves, checkpoint))
    for place, proven in ((places[-1], day), *((place, f"key-{place:06}") for place, _ in changes)):
        for name, content in (
            (f"{proven}.tlog-proof", str(log.prove(leaves, checkpoint, place)).encode()),
            (f"{proven}.json", leaves[place]),
        ):
            try:
                (out / name).write_bytes(content)
            except OSError as error:
                raise SettingsError(f"{out / name} cannot be written: {error.strerror}") from error
            typer.echo(str(out / name))


@app.command()
def witness(
    dataset: Dataset,
    log_key: LogKey,
    own_key: Annotated[Path, typer.Option("--sign", metavar="FILE", help="Private key of this witness.")],
    seen: Annotated[
        Path, typer.Option("--seen", metavar="FILE", help="File with the checkpoint cosigned last; it is replaced.")
    ],
) -> None:
    """Cosign a log whose earlier leaves are unchanged.

    If the command refuses, it says why, and the file keeps the last good checkpoint.
    """
    import time

    from services.core.errors import Fault
    from services.core.files import replace, sync
    from services.dataset.days import LogFiles, witness_faults
    from services.dataset.log import WITNESS, Checkpoint, SigningKey
    from services.dataset.storage import open_dataset

    log, signing = LogFiles(open_dataset(dataset)), SigningKey.read(own_key, WITNESS)
    checkpoint = log.checkpoint()
    if checkpoint is None:
        raise SettingsError(f"{dataset} has no log yet")
    try:
        last = Checkpoint.parse(seen.read_text("utf-8")) if seen.exists() else None
        if last is not None and not last.is_signed_by(signing.public):
            raise ValueError("this witness has not signed it")  # noqa: TRY301
    except (OSError, ValueError) as error:
        raise SettingsError(f"{seen} is not the checkpoint that was cosigned last: {reason_of(error)}") from error
    faults = witness_faults(log.leaves(), checkpoint, log_key=read_key_option(log_key), seen=last)
    if faults:
        raise InputError(f"the log of {dataset}", [Fault(dataset, 0, 0, fault) for fault in faults])
    cosigned = checkpoint.cosigned(signing, int(time.time()))
    try:
        replace(seen, str(cosigned).encode())
        sync(seen.parent)  # after a power cut the older one would let a rewritten log pass
    except OSError as error:
        raise SettingsError(f"{seen} cannot be written: {error.strerror}") from error
    typer.echo(f"cosigned {checkpoint.size} leaves of {checkpoint.origin}: {seen}")
