"""Hand case referrals to other agencies, and receive theirs, through a Liaison broker.

A binding of libliaison (liaison.h) with the standard library alone. Sections are sealed and opened in the C library and
nowhere else; what the broker answers is checked there before a call returns.

    import liaison

    with liaison.Liaison.from_profile('/home/me/.config/liaison/default') as prison:
        with prison.referral({'to': 'fr/lyon/probation', 'type': 'transfer', 'category': 'release-handover',
                              'subject_category': 'convicted', 'minor': 'no', 'regime': 'led', 'informed': 'yes',
                              'urgency': 'days-7'}, {'identity': {'name': '...'}}) as referral:
            prison.seal(referral)
            print(prison.submit(referral).seq)

The same without blocking, on asyncio, through the descriptor that the library lends:

    async with liaison.AsyncLiaison(liaison.Liaison.from_profile(directory)) as probation:
        async for delivery in probation.deliveries():
            ...
            await probation.ack(delivery)

Errors are exceptions: `LiaisonError` with `code`, `name`, `text` and `retry`; `Refused` when the broker said no, with its
answer and the rules behind it. A client belongs to one thread at a time (calls of several are made one after the other) and to
the process that made it. Whatever has a `close()` is a context manager too.

The library is found as `libliaison.so.1`; the environment's LIAISON_LIBRARY names another file.
"""
from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import dataclasses
import enum
import json
import os
import threading
import uuid
import weakref
from types import TracebackType
from typing import (Any, AsyncIterator, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type,
                    TypeVar, Union)

__all__ = ['Action', 'Agency', 'Answer', 'AsyncLiaison', 'Card', 'Code', 'Content', 'Entry', 'Envelope', 'Item',
           'Letter', 'Liaison', 'LiaisonError', 'LogSeen', 'Obligations', 'Receipt', 'Reference', 'Referral', 'Refused',
           'Retry', 'Rule', 'SignedAction', 'View', 'Welcome']

ABI = 1
_T = TypeVar('_T')


class Code(enum.IntEnum):
    """Every way a call can end: `enum liaison_code`."""

    OK = 0
    HELLO_REQUIRED = 1
    VERSION = 2
    MALFORMED = 3
    LIMIT = 4
    PROTOCOL = 5
    TIMEOUT = 6
    CLOSED = 7
    UNSUPPORTED = 8
    BUSY = 9
    UNREACHABLE = 10
    TLS = 20
    CERTIFICATE = 21
    EXPIRED = 22
    REVOKED = 23
    PROFILE = 24
    IDENTITY = 25
    UNKNOWN_AGENCY = 26
    CRL = 27
    ROLE = 28
    SIGNATURE = 40
    SIGNER = 41
    DIGEST = 42
    NETWORK = 43
    ID = 44
    FROM = 45
    SEAL = 46
    FIELD = 47
    PROOF = 48
    FORK = 49
    DENIED = 60
    NOT_ALLOWED = 61
    SECTIONS = 62
    RECIPIENT = 63
    TOO_LARGE = 64
    RATE = 65
    NOT_FOUND = 80
    STATE = 81
    PARTY = 82
    STALE = 83
    CONFLICT = 84
    ERASED = 85
    FULL = 100
    IO = 101
    UNKNOWN = 102
    FENCED = 103
    DAMAGED = 104
    EVIDENCE = 105
    UNSIGNED = 106
    CONFIG = 120
    USAGE = 121
    FILE = 122
    PERMISSION = 123
    MEMORY = 124
    JSON = 125
    INTERNAL = 126


class Retry(enum.IntEnum):
    """What to do after an error. The library does the last two itself until the call's time is over."""

    NEVER = 0  # change the call
    NOW = 1  # send the same again now
    LATER = 2  # send the same again later


class LiaisonError(Exception):
    """A call failed. `code` is a Code (a number that this file does not know yet counts as INTERNAL), `name` its name, `text`
    a sentence that says why and what to do next, `retry` whether the same call can succeed."""

    def __init__(self, code: int, name: str, text: str, retry: Retry) -> None:
        super().__init__('%s (%s)' % (text, name))
        self.code = _code(code)
        self.name = name
        self.text = text
        self.retry = retry


class Refused(LiaisonError):
    """The broker answered, and the answer is no. `answer` is what it said; its denial is in the ledger."""

    def __init__(self, code: int, name: str, text: str, retry: Retry, answer: 'Answer') -> None:
        super().__init__(code, name, text, retry)
        self.answer = answer

    @property
    def rules(self) -> Tuple['Rule', ...]:
        """The rules behind it."""
        return self.answer.rules


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.INTERNAL


# ---------------------------------------------------------------------------------------------- the C library

_TEXT = ctypes.c_char_p
_PTR = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_SIZE = ctypes.c_size_t
_LEN = ctypes.POINTER(ctypes.c_size_t)
_U32 = ctypes.c_uint32
_U64 = ctypes.c_uint64
_CALL = ctypes.POINTER(ctypes.c_uint64)
_INT = ctypes.c_int
_BYTES = ctypes.c_char_p  # with a length beside it

# Every function of liaison.h without its prefix: what it returns, what it takes.
PROTOTYPES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {
    'abi_version': (_U32, ()),
    'code_name': (_TEXT, (_INT,)),
    'code_text': (_TEXT, (_INT,)),
    'code_retry': (_INT, (_INT,)),
    'new': (_INT, (_OUT,)),
    'free': (None, (_PTR,)),
    'set': (_INT, (_PTR, _TEXT, _TEXT)),
    'errmsg': (_TEXT, (_PTR,)),
    'connect': (_INT, (_PTR,)),
    'close': (None, (_PTR,)),
    'welcome': (_INT, (_PTR, _OUT, _LEN)),
    'referral_new': (_INT, (_PTR, _OUT)),
    'referral_free': (None, (_PTR,)),
    'referral_set': (_INT, (_PTR, _TEXT, _TEXT)),
    'referral_section': (_INT, (_PTR, _TEXT, _TEXT, _BYTES, _SIZE)),
    'seal': (_INT, (_PTR, _OUT, _SIZE)),
    'sign': (_INT, (_PTR, _OUT, _SIZE)),
    'referral_bytes': (_INT, (_PTR, _OUT, _LEN)),
    'referral_from_bytes': (_INT, (_PTR, _BYTES, _SIZE, _OUT)),
    'referral_id': (_TEXT, (_PTR,)),
    'action_new': (_INT, (_PTR, _OUT)),
    'action_free': (None, (_PTR,)),
    'action_set': (_INT, (_PTR, _TEXT, _TEXT)),
    'action_section': (_INT, (_PTR, _TEXT, _TEXT, _BYTES, _SIZE)),
    'action_seal': (_INT, (_PTR, _PTR)),
    'action_bytes': (_INT, (_PTR, _OUT, _LEN)),
    'action_from_bytes': (_INT, (_PTR, _BYTES, _SIZE, _OUT)),
    'submit': (_INT, (_PTR, _PTR, _U32, _OUT)),
    'check': (_INT, (_PTR, _PTR, _U32, _OUT)),
    'act': (_INT, (_PTR, _PTR, _OUT)),
    'open_referral': (_INT, (_PTR, _TEXT, _TEXT, _OUT)),
    'grant': (_INT, (_PTR, _U32, _U64)),
    'next': (_INT, (_PTR, _INT, _OUT)),
    'ack': (_INT, (_PTR, _CALL, _CALL, _SIZE)),
    'query_new': (_INT, (_PTR, _TEXT, _OUT)),
    'query_set': (_INT, (_PTR, _TEXT, _TEXT)),
    'query_next': (_INT, (_PTR, _OUT)),
    'query_more': (_INT, (_PTR,)),
    'query_free': (None, (_PTR,)),
    'send_submit': (_INT, (_PTR, _PTR, _U32, _CALL)),
    'send_act': (_INT, (_PTR, _PTR, _CALL)),
    'send_grant': (_INT, (_PTR, _U32, _U64, _CALL)),
    'send_ack': (_INT, (_PTR, _CALL, _CALL, _SIZE, _CALL)),
    'send_entries': (_INT, (_PTR, _U64, _U64, _CALL)),
    'send_hashes': (_INT, (_PTR, _U32, _U64, _U32, _CALL)),
    'receive': (_INT, (_PTR, _INT, _OUT)),
    'outstanding': (_SIZE, (_PTR,)),
    'fd': (_INT, (_PTR,)),
    'answer_free': (None, (_PTR,)),
    'answer_call': (_U64, (_PTR,)),
    'answer_code': (_INT, (_PTR,)),
    'answer_text': (_TEXT, (_PTR,)),
    'answer_kind': (_TEXT, (_PTR,)),
    'answer_frame': (_PTR, (_PTR, _LEN)),
    'answer_entry': (_PTR, (_PTR, _LEN)),
    'answer_opening': (_PTR, (_PTR, _LEN)),
    'answer_seq': (_U64, (_PTR,)),
    'answer_time_ns': (_U64, (_PTR,)),
    'answer_state': (_TEXT, (_PTR,)),
    'answer_state_version': (_U32, (_PTR,)),
    'answer_granted': (_TEXT, (_PTR, _SIZE)),
    'answer_rule': (_TEXT, (_PTR, _SIZE)),
    'answer_rule_where': (_TEXT, (_PTR, _SIZE)),
    'answer_item': (_TEXT, (_PTR,)),
    'answer_alert': (_TEXT, (_PTR,)),
    'answer_onward': (_TEXT, (_PTR,)),
    'answer_flag': (_TEXT, (_PTR, _SIZE)),
    'answer_wanted': (_TEXT, (_PTR, _SIZE)),
    'answer_answer_by_unix_ms': (_U64, (_PTR,)),
    'answer_keep_until_unix_ms': (_U64, (_PTR,)),
    'answer_obligation': (_TEXT, (_PTR, _TEXT, _SIZE)),
    'answer_rate_per_hour': (_U32, (_PTR,)),
    'answer_mailbox': (_U64, (_PTR,)),
    'answer_lease': (_U64, (_PTR,)),
    'answer_attempt': (_U32, (_PTR,)),
    'answer_signed': (_SIZE, (_PTR,)),
    'verify': (_INT, (_PTR, _PTR, _SIZE, _OUT)),
    'verify_bytes': (_INT, (_PTR, _TEXT, _BYTES, _SIZE, _OUT)),
    'letter_free': (None, (_PTR,)),
    'letter_kind': (_TEXT, (_PTR,)),
    'letter_signer': (_TEXT, (_PTR,)),
    'letter_bytes': (_PTR, (_PTR, _LEN)),
    'letter_section': (_TEXT, (_PTR, _SIZE)),
    'letter_reader': (_TEXT, (_PTR, _SIZE)),
    'letter_open': (_INT, (_PTR, _PTR, _TEXT, _OUT, _LEN, ctypes.POINTER(_TEXT))),
    'answer_note': (_PTR, (_PTR, _LEN)),
    'answer_verified': (_INT, (_PTR,)),
    'answer_includes': (_INT, (_PTR, _PTR, _BYTES, _SIZE)),
    'answer_counter': (_INT, (_PTR, _SIZE, _CALL, _CALL)),
    'answer_count': (_U64, (_PTR,)),
    'answer_bytes': (_PTR, (_PTR, _LEN)),
    'log_on': (_INT, (_PTR,)),
    'log_judge': (_INT, (_PTR, _BYTES, _SIZE, _CALL, _BYTES, _LEN, _CALL)),
    'log_seen': (_INT, (_PTR, _CALL, _OUT, _LEN, _CALL)),
    'checkpoint': (_INT, (_PTR, _OUT)),
    'prove': (_INT, (_PTR, _CALL, _SIZE, _U64, _U64, _OUT)),
    'prove_witnessed': (_INT, (_PTR, _CALL, _SIZE, _OUT)),
    'cosign': (_INT, (_PTR, _BYTES, _SIZE)),
    'summarize': (_INT, (_PTR, _TEXT, _OUT)),
    'hashes': (_INT, (_PTR, _U32, _U64, _U32, _OUT)),
    'rule_text': (_INT, (_PTR, _BYTES, _OUT)),
    'rules_cited': (_INT, (_PTR, _BYTES, _BYTES, _SIZE, _OUT)),
    'receipt_next': (_INT, (_PTR, _INT, _OUT)),
    'receipt_claim': (_INT, (_PTR, _PTR, _OUT)),
    'receipt_prove': (_INT, (_PTR, _PTR, _INT)),
    'receipt_read': (_INT, (_PTR, _BYTES, _SIZE, _OUT)),
    'receipt_verify': (_INT, (_PTR, _PTR)),
    'receipt_about': (_INT, (_PTR, _PTR, _TEXT, _BYTES, _SIZE)),
    'receipt_text': (_INT, (_PTR, _OUT, _LEN)),
    'receipt_save': (_INT, (_PTR, _PTR, _TEXT)),
    'receipt_free': (None, (_PTR,)),
    'receipt_seq': (_U64, (_PTR,)),
    'receipt_entry': (_PTR, (_PTR, _LEN)),
    'receipt_opening': (_PTR, (_PTR, _LEN)),
    'receipt_note': (_PTR, (_PTR, _LEN)),
    'receipt_verified': (_INT, (_PTR,)),
    'receipt_origin': (_TEXT, (_PTR,)),
    'receipt_size': (_U64, (_PTR,)),
    'receipt_witnesses': (_SIZE, (_PTR,)),
    'receipt_quorum_s': (_U64, (_PTR,)),
    'receipts_awaited': (_SIZE, (_PTR,)),
}

_STRIP = 1


class _Library:
    """The functions of the table as attributes."""

    def __init__(self, path: str) -> None:
        self.cdll = ctypes.CDLL(path)
        for name, (returns, takes) in PROTOTYPES.items():
            function = getattr(self.cdll, 'liaison_' + name)
            function.restype = returns
            function.argtypes = takes
            setattr(self, name, function)
        found = self.abi_version()
        if found != ABI:
            raise ImportError('%s speaks ABI %d; this file speaks %d' % (path, found, ABI))

    def __getattr__(self, name: str) -> Callable[..., Any]:  # for type checkers: all are set above
        raise AttributeError(name)

    def error(self, code: int, text: str, answer: Optional['Answer'] = None) -> LiaisonError:
        """The exception for a code; `text` is the library's sentence, if it has one."""
        name = self.code_name(code).decode()
        retry = Retry(self.code_retry(code))
        said = text or self.code_text(code).decode()
        if answer is not None and answer.kind != 'local':
            return Refused(code, name, said, retry, answer)
        return LiaisonError(code, name, said, retry)


_library: Optional[_Library] = None
_library_lock = threading.Lock()


def _load() -> _Library:
    global _library
    with _library_lock:
        if _library is None:
            _library = _Library(os.environ.get('LIAISON_LIBRARY') or 'libliaison.so.1')
        return _library


def _bytes_at(pointer: Optional[int], length: int) -> bytes:
    return ctypes.string_at(pointer, length) if pointer and length else b''


def _text(value: Optional[bytes]) -> str:
    return (value or b'').decode('utf-8')


# ---------------------------------------------------------------------------------------------- messages (liaison.proto)
#
# The few that a program reads. A field is declared once, with its number; test 50-python compares them with liaison.proto.

TYPE = {1: 'referral', 2: 'transfer', 3: 'information', 4: 'query'}
SUBJECT_CATEGORY = {1: 'suspect', 2: 'convicted', 3: 'victim', 4: 'witness', 5: 'contact', 6: 'relative', 7: 'at-risk'}
MINOR = {1: 'yes', 2: 'no', 3: 'unknown'}
REGIME = {1: 'led', 2: 'gdpr'}
HANDLING = {1: 'none', 2: 'h0', 3: 'h1', 4: 'h2', 5: 'h3'}
INFORMED = {1: 'yes', 2: 'later', 3: 'not-reached', 4: 'would-endanger', 5: 'would-prejudice'}
URGENCY = {1: 'hours-8', 2: 'days-3', 3: 'days-7', 4: 'date'}
REVEAL = {1: 'on-accept', 2: 'on-delivery'}
STATE = {1: 'requested', 2: 'received', 3: 'accepted', 4: 'rejected', 5: 'in-progress', 6: 'on-hold',
         7: 'cancel-requested', 8: 'cancelled', 9: 'completed', 10: 'failed', 11: 'entered-in-error', 12: 'expired'}
MOVE = {1: 'accept', 2: 'reject', 3: 'start', 4: 'complete', 5: 'withdraw', 6: 'approve', 7: 'acknowledge', 8: 'permit'}
FLAG = {1: 'escalated', 2: 'reseal-needed', 3: 'unapproved', 4: 'unacknowledged', 5: 'barred'}
EVENT = {1: 'start', 2: 'stop', 3: 'session', 4: 'session-cut', 5: 'strangers', 6: 'rules', 7: 'crl', 8: 'summary',
         9: 'new-log', 10: 'key-rotate', 11: 'clock-step', 12: 'erase', 13: 'key', 14: 'settings', 20: 'submit',
         21: 'check', 22: 'accept', 23: 'reject', 24: 'in-progress', 25: 'complete', 26: 'withdraw', 27: 'received',
         28: 'approve', 29: 'acknowledge', 30: 'permit', 31: 'escalate', 32: 'crossing', 33: 'barred', 34: 'unbarred',
         35: 'reseal-needed', 36: 'reseal',
         40: 'list', 41: 'history', 42: 'directory', 43: 'open', 44: 'delivery', 45: 'receipt', 46: 'audit-read',
         47: 'cosign'}
VERDICT = {1: 'done', 2: 'denied'}
OPERATION = {1: 'none', 2: 'collection', 3: 'consultation', 4: 'disclosure', 5: 'alteration', 6: 'combination',
             7: 'erasure'}
CLOCK = {1: 'synced', 2: 'unsynced', 3: 'held'}


def _field(number: int, kind: Any, default: Any) -> Any:
    return dataclasses.field(default=default, repr=kind is not bytes, metadata={'number': number, 'kind': kind})


def _string(number: int) -> str:
    return _field(number, str, '')  # type: ignore[no-any-return]


def _binary(number: int) -> bytes:
    return _field(number, bytes, b'')  # type: ignore[no-any-return]


def _uint(number: int) -> int:
    return _field(number, int, 0)  # type: ignore[no-any-return]


def _word(number: int, words: Dict[int, str]) -> str:
    return _field(number, words, '')  # type: ignore[no-any-return]


def _many(number: int, kind: Any) -> Any:
    return dataclasses.field(default=(), repr=kind is not bytes, metadata={'number': number, 'kind': kind, 'many': True})


@dataclasses.dataclass(frozen=True)
class Reference:
    """A referral: who sent it, under which id."""

    sender: str = _string(1)
    id_bytes: bytes = _binary(2)

    @property
    def id(self) -> str:
        """The 36 characters of a UUIDv7."""
        return _uuid(self.id_bytes)


@dataclasses.dataclass(frozen=True)
class Envelope:
    """What the broker may read of a referral."""

    network: str = _string(1)
    version: int = _uint(2)
    id_bytes: bytes = _binary(3)
    case_id: bytes = _binary(4)
    sender: str = _string(5)
    to: str = _string(6)
    type: str = _word(7, TYPE)
    category: str = _string(8)
    purpose: str = _string(9)
    basis: str = _string(10)
    subject_category: str = _word(11, SUBJECT_CATEGORY)
    minor: str = _word(12, MINOR)
    regime: str = _word(13, REGIME)
    handling: str = _word(14, HANDLING)
    informed: str = _word(15, INFORMED)
    urgency: str = _word(16, URGENCY)
    created_unix_ms: int = _uint(17)
    due_unix_ms: int = _uint(18)
    officer: str = _string(19)
    caused_by: Optional[Reference] = _field(20, Reference, None)
    offer: bytes = _binary(21)
    digests: Tuple[bytes, ...] = _many(22, bytes)

    @property
    def id(self) -> str:
        """The 36 characters of a UUIDv7."""
        return _uuid(self.id_bytes)


@dataclasses.dataclass(frozen=True)
class SignedAction:
    """An action's signed bytes; `Letter.action` says what is in them once the signature was verified."""

    action: bytes = _binary(1)


@dataclasses.dataclass(frozen=True)
class _SignedReferral:
    envelope: bytes = _binary(1)


@dataclasses.dataclass(frozen=True)
class Action:
    """A signed move."""

    network: str = _string(1)
    id_bytes: bytes = _binary(2)
    referral: Optional[Reference] = _field(3, Reference, None)
    move: str = _word(4, MOVE)
    agency: str = _string(5)
    expected_version: int = _uint(6)
    reason: str = _string(7)
    officer: str = _string(8)
    purpose: str = _string(9)
    basis: str = _string(10)
    created_unix_ms: int = _uint(11)
    digests: Tuple[bytes, ...] = _many(12, bytes)
    to: str = _string(13)


@dataclasses.dataclass(frozen=True)
class Obligations:
    """What the rules ask of sender and recipient."""

    reveal: str = _word(1, REVEAL)
    returns: Tuple[str, ...] = _many(2, str)
    keep: str = _string(3)
    answer_within: str = _string(4)
    escalate_to: Tuple[str, ...] = _many(5, str)
    approvals: Tuple[str, ...] = _many(6, str)
    rate_per_hour: int = _uint(7)


@dataclasses.dataclass(frozen=True)
class _Decision:
    granted: Tuple[str, ...] = _many(3, str)
    refused: Tuple[str, ...] = _many(4, str)
    obligations: Optional[Obligations] = _field(6, Obligations, None)


@dataclasses.dataclass(frozen=True)
class Card:
    """What a party sees of a referral."""

    referral: Optional[_SignedReferral] = _field(1, _SignedReferral, None)
    state: str = _word(2, STATE)
    state_version: int = _uint(3)
    responsible: str = _string(4)
    submitted_unix_ms: int = _uint(5)
    granted: Tuple[str, ...] = _many(6, str)
    obligations: Optional[Obligations] = _field(7, Obligations, None)
    mailbox: int = _uint(8)
    flags: Tuple[str, ...] = _many(9, FLAG)
    wanted: Tuple[str, ...] = _many(10, str)
    answer_by_unix_ms: int = _uint(11)
    keep_until_unix_ms: int = _uint(12)


@dataclasses.dataclass(frozen=True)
class Agency:
    """A member of the network."""

    id: str = _string(1)
    kind: str = _string(2)
    area: str = _string(3)
    seal_certificates: Tuple[bytes, ...] = _many(4, bytes)
    skills: Tuple[str, ...] = _many(5, str)
    languages: Tuple[str, ...] = _many(6, str)
    capacity: int = _uint(7)
    taken: int = _uint(8)
    supervisors: Tuple[str, ...] = _many(9, str)
    merged_into: str = _string(10)


@dataclasses.dataclass(frozen=True)
class Welcome:
    """What the broker said when the session began. certificate_days: whole days until our certificate ends."""

    version: int = _uint(1)
    network: str = _string(2)
    broker: str = _string(3)
    time_unix_ms: int = _uint(5)
    certificate_days: int = _uint(6)
    rule_set: bytes = _binary(7)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the audit trail. `raw` are its exact bytes, as they were hashed."""

    version: int = _uint(1)
    seq: int = _uint(2)
    time_ns: int = _uint(3)
    clock: str = _word(4, CLOCK)
    nonce: bytes = _binary(5)
    event: str = _word(6, EVENT)
    verdict: str = _word(7, VERDICT)
    code: int = _uint(8)
    operation: str = _word(9, OPERATION)
    agency: str = _string(10)
    officer_commitment: bytes = _binary(11)
    counterpart: str = _string(12)
    referral_id: bytes = _binary(13)
    case_commitment: bytes = _binary(14)
    request_id: bytes = _binary(15)
    purpose: str = _string(16)
    basis: str = _string(17)
    rules: Tuple[bytes, ...] = _many(18, bytes)
    rule_set: bytes = _binary(19)
    certificate: bytes = _binary(20)
    state_before: str = _word(21, STATE)
    state_after: str = _word(22, STATE)
    agency_counter: int = _uint(23)
    counterpart_counter_commitment: bytes = _binary(24)
    content_commitment: bytes = _binary(25)
    returned_commitment: bytes = _binary(26)
    type: str = _word(27, TYPE)
    responsible: str = _string(28)
    sections: Tuple[str, ...] = _many(29, str)
    count: int = _uint(30)
    summary: Tuple[bytes, ...] = _many(31, bytes)
    log: int = _uint(32)
    note: bytes = _binary(33)
    before: bytes = _binary(34)
    onward: str = _string(35)
    role: str = _string(36)
    raw: bytes = b''


@dataclasses.dataclass(frozen=True)
class _Cards:
    cards: Tuple[Card, ...] = _many(1, Card)


@dataclasses.dataclass(frozen=True)
class _Entries:
    entries: Tuple[bytes, ...] = _many(1, bytes)


@dataclasses.dataclass(frozen=True)
class _Agencies:
    agencies: Tuple[Agency, ...] = _many(1, Agency)


@dataclasses.dataclass(frozen=True)
class _View:
    card: Optional[Card] = _field(1, Card, None)
    actions: Tuple[SignedAction, ...] = _many(2, SignedAction)


@dataclasses.dataclass(frozen=True)
class _Alert:
    card: Optional[Card] = _field(1, Card, None)


@dataclasses.dataclass(frozen=True)
class _Deliver:
    referral: Optional[Card] = _field(10, Card, None)
    alert: Optional[_Alert] = _field(12, _Alert, None)


@dataclasses.dataclass(frozen=True)
class _Frame:
    welcome: Optional[Welcome] = _field(11, Welcome, None)
    decision: Optional[_Decision] = _field(25, _Decision, None)
    cards: Optional[_Cards] = _field(31, _Cards, None)
    history_page: Optional[_Entries] = _field(33, _Entries, None)
    agencies: Optional[_Agencies] = _field(35, _Agencies, None)
    view: Optional[_View] = _field(37, _View, None)
    deliver: Optional[_Deliver] = _field(41, _Deliver, None)
    entries_page: Optional[_Entries] = _field(61, _Entries, None)


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 else ''


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError('a number of more than 64 bits')


def _value(kind: Any, wire: int, raw: Union[int, bytes]) -> Any:
    """A field's value, or ValueError if it was sent as something else."""
    if isinstance(kind, dict) or kind is int:
        if wire != 0 or not isinstance(raw, int):
            raise ValueError('a number is wanted')
        return raw if kind is int else kind.get(raw, str(raw))
    if wire != 2 or not isinstance(raw, bytes):
        raise ValueError('bytes are wanted')
    if kind is bytes:
        return raw
    return raw.decode('utf-8') if kind is str else decode(kind, raw)


def _list_of(kind: Any, wire: int, raw: Union[int, bytes]) -> Tuple[Any, ...]:
    """One more element of a list; of numbers, which are packed, all of them."""
    if wire != 2 or not isinstance(raw, bytes) or not (isinstance(kind, dict) or kind is int):
        return (_value(kind, wire, raw),)
    found: List[Any] = []
    at = 0
    while at < len(raw):
        number, at = _varint(raw, at)
        found.append(_value(kind, 0, number))
    return tuple(found)


def decode(kind: Type[_T], data: bytes) -> _T:
    """Reads one message. The library has checked that frames are strict protobuf; fields that this file does not know are
    skipped. Raises ValueError if it cannot be read."""
    fields = {f.metadata['number']: f for f in dataclasses.fields(kind) if f.metadata}  # type: ignore[arg-type]
    values: Dict[str, Any] = {}
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            wire = tag & 7
            raw: Union[int, bytes]
            if wire == 0:
                raw, at = _varint(data, at)
            elif wire == 2:
                length, at = _varint(data, at)
                raw, at = data[at:at + length], at + length
                if at > len(data):
                    raise ValueError('it ends too early')
            else:
                raise ValueError('wire type %d' % wire)
            field = fields.get(tag >> 3)
            if field is None:
                continue
            if not field.metadata.get('many'):
                values[field.name] = _value(field.metadata['kind'], wire, raw)
                continue
            values[field.name] = values.get(field.name, ()) + _list_of(field.metadata['kind'], wire, raw)
    except IndexError:
        raise ValueError('it ends too early') from None
    return kind(**values)


def _entry(raw: bytes) -> Entry:
    return dataclasses.replace(decode(Entry, raw), raw=raw)


# ---------------------------------------------------------------------------------------------- what is owned


class _Owned:
    """Something of the library's, released once: by close(), at the end of `with`, or when nobody holds it any more."""

    _free = ''

    def __init__(self, lib: _Library, pointer: Optional[int], lock: Optional[Any] = None) -> None:
        self._lib = lib
        self._pointer: Optional[int] = pointer
        self._lock = lock if lock is not None else threading.RLock()

    @property
    def _ptr(self) -> int:
        if self._pointer is None:
            raise ValueError('%s is closed' % type(self).__name__)
        return self._pointer

    def close(self) -> None:
        """Releases it. What was opened is wiped. Harmless when done before."""
        with self._lock:
            pointer, self._pointer = self._pointer, None
            if pointer is not None:
                getattr(self._lib, self._free)(pointer)

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, '_pointer', None) is not None:
            self.close()

    def _blob(self, getter: Callable[..., Any]) -> bytes:
        length = ctypes.c_size_t()
        return _bytes_at(getter(self._ptr, ctypes.byref(length)), length.value)

    def _list(self, getter: Callable[..., Any]) -> Tuple[str, ...]:
        found: List[str] = []
        while True:
            item = getter(self._ptr, len(found))
            if item is None:
                return tuple(found)
            found.append(_text(item))


@dataclasses.dataclass(frozen=True)
class LogSeen:
    """The last checkpoint of the broker's log that was seen; quorum_s: the latest time by which a quorum had cosigned one."""

    size: int
    note: bytes
    quorum_s: int


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule behind a refusal or a decision: its canonical text, and where it stands (file:line)."""

    text: str
    where: str


@dataclasses.dataclass(frozen=True)
class Content:
    """What a section holds."""

    content_type: str
    data: bytes

    def json(self) -> Any:
        """The data read as JSON."""
        return json.loads(self.data)


Sections = Mapping[str, Union[Content, bytes, str, Dict[str, Any], List[Any]]]


def _content(given: Any) -> Content:
    if isinstance(given, Content):
        return given
    if isinstance(given, (bytes, bytearray)):
        return Content('application/octet-stream', bytes(given))
    if isinstance(given, str):
        return Content('text/plain', given.encode('utf-8'))
    return Content('application/json', json.dumps(given, ensure_ascii=False).encode('utf-8'))


class Answer(_Owned):
    """What came back. Lives on its own, also after its client is closed."""

    _free = 'answer_free'

    @property
    def call(self) -> int:
        """The number of the call it answers; 0: a delivery."""
        return int(self._lib.answer_call(self._ptr))

    @property
    def code(self) -> Code:
        """OK, or why not."""
        return _code(self._lib.answer_code(self._ptr))

    @property
    def ok(self) -> bool:
        """True if it was done, or (of check) would be."""
        return self.code is Code.OK

    @property
    def text(self) -> str:
        """A sentence that says so."""
        return _text(self._lib.answer_text(self._ptr))

    @property
    def kind(self) -> str:
        """"accepted", "duplicate", "refused", "decision", "cards", "history", "agencies", "view", "deliver", "done",
        "entries", "error"; "local" for one of the library's own."""
        return _text(self._lib.answer_kind(self._ptr))

    @property
    def frame(self) -> bytes:
        """The exact Frame that came; b'' if none did."""
        return self._blob(self._lib.answer_frame)

    @property
    def entry(self) -> bytes:
        """The LedgerEntry of accepted, duplicate, refused and an alert."""
        return self._blob(self._lib.answer_entry)

    @property
    def opening(self) -> bytes:
        """The entry's commitment key."""
        return self._blob(self._lib.answer_opening)

    @property
    def seq(self) -> int:
        """The entry's number in the ledger."""
        return int(self._lib.answer_seq(self._ptr))

    @property
    def time_ns(self) -> int:
        """The entry's ledger time."""
        return int(self._lib.answer_time_ns(self._ptr))

    @property
    def state(self) -> str:
        """The referral's state: "in-progress"."""
        return _text(self._lib.answer_state(self._ptr))

    @property
    def state_version(self) -> int:
        """The version of that state, which the next action names."""
        return int(self._lib.answer_state_version(self._ptr))

    @property
    def granted(self) -> Tuple[str, ...]:
        """Names of the sections that may pass."""
        return self._list(self._lib.answer_granted)

    @property
    def refused(self) -> Tuple[str, ...]:
        """Of a decision: names of the sections that may not."""
        found = self._decoded().decision
        return found.refused if found is not None else ()

    @property
    def obligations(self) -> Optional[Obligations]:
        """Of a decision, view or delivered referral."""
        frame = self._decoded()
        if frame.decision is not None:
            return frame.decision.obligations
        card = self.card
        return card.obligations if card is not None else None

    @property
    def rules(self) -> Tuple[Rule, ...]:
        """The rules behind a refusal or decision."""
        texts = self._list(self._lib.answer_rule)
        return tuple(Rule(text, _text(self._lib.answer_rule_where(self._ptr, i))) for i, text in enumerate(texts))

    @property
    def item(self) -> str:
        """Of a delivery: "referral", "notice" (the other party moved) or "alert"."""
        return _text(self._lib.answer_item(self._ptr))

    @property
    def alert(self) -> str:
        """Of an alert: the flag that the referral has, or had, since the entry: "escalated". `card` is the referral's."""
        return _text(self._lib.answer_alert(self._ptr))

    @property
    def onward(self) -> str:
        """A third agency that the entry names: to whom it may be passed on, or who took the recipient's place."""
        return _text(self._lib.answer_onward(self._ptr))

    @property
    def flags(self) -> Tuple[str, ...]:
        """Of a view or a delivery: "unapproved", "unacknowledged", "escalated", "reseal-needed", "barred"."""
        return self._list(self._lib.answer_flag)

    @property
    def wanted(self) -> Tuple[str, ...]:
        """Of a view or a delivery: roles whose approval is still wanted."""
        return self._list(self._lib.answer_wanted)

    @property
    def mailbox(self) -> int:
        """Of a delivery: its number in the mailbox."""
        return int(self._lib.answer_mailbox(self._ptr))

    @property
    def lease(self) -> int:
        """Of a delivery: what ack wants."""
        return int(self._lib.answer_lease(self._ptr))

    @property
    def attempt(self) -> int:
        """Of a delivery: above 1 if it may have been seen before."""
        return int(self._lib.answer_attempt(self._ptr))

    @property
    def signed(self) -> int:
        """How many signed things it holds, for Liaison.verify."""
        return int(self._lib.answer_signed(self._ptr))

    @property
    def card(self) -> Optional[Card]:
        """Of a view, a delivered referral or an alert."""
        frame = self._decoded()
        if frame.view is not None:
            return frame.view.card
        if frame.deliver is not None and frame.deliver.alert is not None:
            return frame.deliver.alert.card
        return frame.deliver.referral if frame.deliver is not None else None

    @property
    def cards(self) -> Tuple[Card, ...]:
        """Of a page of a box."""
        found = self._decoded().cards
        return found.cards if found is not None else ()

    @property
    def agencies(self) -> Tuple[Agency, ...]:
        """Of a page of the directory."""
        found = self._decoded().agencies
        return found.agencies if found is not None else ()

    @property
    def entries(self) -> Tuple[Entry, ...]:
        """Of a page of a history or of the audit trail."""
        frame = self._decoded()
        found = frame.history_page or frame.entries_page
        return tuple(_entry(raw) for raw in found.entries) if found is not None else ()

    @property
    def note(self) -> bytes:
        """Of a proof: the checkpoint, a signed note."""
        return self._blob(self._lib.answer_note)

    @property
    def verified(self) -> bool:
        """Of a proof: the policy believed its checkpoint, and it extends what was seen before."""
        return bool(self._lib.answer_verified(self._ptr))

    @property
    def counters(self) -> Dict[int, int]:
        """Of entries asked for by agency: its counter by entry number, where it is the counterpart. Each was checked."""
        seq, counter, found = _U64(), _U64(), {}
        while self._lib.answer_counter(self._ptr, len(found), ctypes.byref(seq), ctypes.byref(counter)):
            found[seq.value] = counter.value
        return found

    @property
    def count(self) -> int:
        """Of a summary: how many entries concern the agency. Checked: the entry commits to it."""
        return int(self._lib.answer_count(self._ptr))

    @property
    def content(self) -> bytes:
        """Of hashes: 32 bytes each. Of rule-text: the rules."""
        return self._blob(self._lib.answer_bytes)

    def _decoded(self) -> _Frame:
        return decode(_Frame, self.frame)


class _Child(_Owned):
    """Something that its client outlives."""

    def __init__(self, client: 'Liaison', pointer: Optional[int]) -> None:
        super().__init__(client._lib, pointer, client._lock)
        self._client = client
        client._children.add(self)


class Receipt(_Owned):
    """A ledger entry with its opening and, once it is proven, its place in the broker's log: evidence that stands without the broker.
    A claim is one without proof."""

    _free = 'receipt_free'

    def __init__(self, client: 'Liaison', pointer: Optional[int]) -> None:
        super().__init__(client._lib, pointer)
        self._client = client

    @property
    def seq(self) -> int:
        """The entry's number."""
        return int(self._lib.receipt_seq(self._ptr))

    @property
    def entry(self) -> Entry:
        """The entry; `raw` are its exact bytes."""
        return _entry(self._blob(self._lib.receipt_entry))

    @property
    def opening(self) -> bytes:
        """The key of the entry's commitments."""
        return self._blob(self._lib.receipt_opening)

    @property
    def note(self) -> bytes:
        """The signed checkpoint; empty: this is a claim."""
        return self._blob(self._lib.receipt_note)

    @property
    def verified(self) -> bool:
        """It was verified by this process."""
        return bool(self._lib.receipt_verified(self._ptr))

    @property
    def origin(self) -> str:
        """The log, once verified."""
        return _text(self._lib.receipt_origin(self._ptr))

    @property
    def size(self) -> int:
        """How many entries its checkpoint covers, once verified."""
        return int(self._lib.receipt_size(self._ptr))

    @property
    def witnesses(self) -> int:
        """How many of the policy's witnesses have cosigned its checkpoint."""
        return int(self._lib.receipt_witnesses(self._ptr))

    @property
    def quorum_s(self) -> int:
        """By when (seconds since 1970) the policy's quorum had; 0: it is not witnessed, or the policy wants none."""
        return int(self._lib.receipt_quorum_s(self._ptr))

    @property
    def text(self) -> str:
        """What a file of it holds."""
        out, length = ctypes.c_void_p(), _SIZE()
        with self._client._lock:
            self._client._done(self._lib.receipt_text(self._ptr, ctypes.byref(out), ctypes.byref(length)))
            return ctypes.string_at(out.value or 0, length.value).decode()

    def prove(self, timeout: float) -> None:
        """Puts it into the log: takes what came or asks; one that stands already is put under a witnessed checkpoint."""
        with self._client._lock:
            self._client._done(self._lib.receipt_prove(self._client._ptr, self._ptr, int(timeout * 1000)))

    def verify(self) -> None:
        """Verifies it without the network, by the policy (setting log_policy) alone."""
        with self._client._lock:
            self._client._done(self._lib.receipt_verify(self._client._ptr, self._ptr))

    def about(self, what: str, data: bytes) -> None:
        """Is it about these signed bytes, a "referral" or an "action"? Fails if not."""
        with self._client._lock:
            self._client._done(self._lib.receipt_about(self._client._ptr, self._ptr, what.encode(), data, len(data)))

    def save(self, path: Union[str, 'os.PathLike[str]']) -> None:
        """Puts it into a file, whole or not at all."""
        with self._client._lock:
            self._client._done(self._lib.receipt_save(self._client._ptr, self._ptr, os.fsencode(path)))


class Letter(_Owned):
    """A signed referral or action whose signature holds."""

    _free = 'letter_free'

    def __init__(self, client: 'Liaison', pointer: Optional[int]) -> None:
        super().__init__(client._lib, pointer)
        self._client = client

    @property
    def kind(self) -> str:
        """"referral" or "action"."""
        return _text(self._lib.letter_kind(self._ptr))

    @property
    def signer(self) -> str:
        """The agency that signed."""
        return _text(self._lib.letter_signer(self._ptr))

    @property
    def data(self) -> bytes:
        """The signed bytes."""
        return self._blob(self._lib.letter_bytes)

    @property
    def envelope(self) -> Envelope:
        """What a referral's signed bytes say."""
        if self.kind != 'referral':
            raise ValueError('this letter is an action')
        return decode(Envelope, self.data)

    @property
    def action(self) -> Action:
        """What an action's signed bytes say."""
        if self.kind != 'action':
            raise ValueError('this letter is a referral')
        return decode(Action, self.data)

    @property
    def sections(self) -> Dict[str, str]:
        """Names of the sections that came with it, and who can open each."""
        return dict(zip(self._list(self._lib.letter_section), self._list(self._lib.letter_reader)))

    def open(self, name: str) -> Content:
        """Opens a section that was sealed to us. The copy that is returned is Python's and cannot be wiped."""
        data, length, kind = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_char_p()
        with self._client._lock:
            self._client._done(self._lib.letter_open(self._client._ptr, self._ptr, name.encode(), ctypes.byref(data),
                                                     ctypes.byref(length), ctypes.byref(kind)))
            return Content(_text(kind.value), _bytes_at(data.value, length.value))


class Referral(_Child):
    """A referral that is being filled in or is sealed. Made by Liaison.referral."""

    _free = 'referral_free'

    def set(self, key: str, value: object) -> None:
        """Fills one field (the table at liaison_referral_set)."""
        with self._lock:
            self._client._done(self._lib.referral_set(self._ptr, key.encode(), str(value).encode()))

    def section(self, name: str, content: Any) -> None:
        """Adds a section: Content, bytes, text, or what becomes JSON."""
        given = _content(content)
        with self._lock:
            self._client._done(self._lib.referral_section(self._ptr, name.encode(), given.content_type.encode(),
                                                          given.data, len(given.data)))

    @property
    def id(self) -> str:
        """The id of a sealed referral, '' before."""
        return _text(self._lib.referral_id(self._ptr))

    @property
    def data(self) -> bytes:
        """The sealed referral as a SignedReferral: keep it to send exactly the same again."""
        out, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._lock:
            self._client._done(self._lib.referral_bytes(self._ptr, ctypes.byref(out), ctypes.byref(length)))
            return _bytes_at(out.value, length.value)


class _Move(_Child):
    _free = 'action_free'


class _Query(_Child):
    _free = 'query_free'


@dataclasses.dataclass(frozen=True)
class Item:
    """A referral in a box. `trouble` says why its signature does not hold; None: verified."""

    card: Card
    envelope: Envelope
    trouble: Optional[LiaisonError]

    @property
    def sender(self) -> str:
        """Who sent it."""
        return self.envelope.sender

    @property
    def id(self) -> str:
        """Its id."""
        return self.envelope.id

    @property
    def state(self) -> str:
        """Its state in a word."""
        return self.card.state

    @property
    def version(self) -> int:
        """The version of its state."""
        return self.card.state_version


class View(Answer):
    """A referral as it was opened: its verified letters. Close it to wipe what they opened."""

    referral: Letter
    actions: Tuple[Letter, ...]

    def close(self) -> None:
        """Releases it and its letters."""
        for letter in (getattr(self, 'referral', None), *getattr(self, 'actions', ())):
            if letter is not None:
                letter.close()
        super().close()


# ---------------------------------------------------------------------------------------------- the client

_PROFILE_KEYS = ('network', 'broker', 'broker_name', 'agency', 'auditor', 'approver', 'officer', 'purpose', 'basis')
_PROFILE_FILES = {'ca': 'ca.crt', 'crl': 'crl.pem', 'sign_certificate': 'sign.crt', 'sign_key': 'sign.key'}
_LOG_FILES = {'log_policy': 'log.policy', 'log_rotations': 'log.rotations', 'log_seen': 'log.seen', 'log_fork': 'log.fork'}
_SEAL_FILES = {'seal_certificate': 'seal.crt', 'seal_key': 'seal.key', 'seal_old': 'seal.old'}


class Liaison(_Owned):
    """One member's connection. Opened by the first call that needs it, and again whenever it was lost."""

    _free = 'free'

    def __init__(self, settings: Optional[Mapping[str, object]] = None, **more: object) -> None:
        """Settings are those of liaison_set: network, broker, agency, ca, crl, sign_certificate, sign_key..."""
        lib = _load()
        out = ctypes.c_void_p()
        code = lib.new(ctypes.byref(out))
        if code != 0:
            raise lib.error(code, '')
        super().__init__(lib, out.value)
        self._children: 'weakref.WeakSet[_Child]' = weakref.WeakSet()
        for key, value in {**(settings or {}), **more}.items():
            self.set(key, value)

    @classmethod
    def from_profile(cls, directory: Union[str, 'os.PathLike[str]'], **more: object) -> 'Liaison':
        """Takes the settings of a profile as `liaison enrol` makes it; `more` come after them."""
        folder = os.fspath(directory)
        with open(os.path.join(folder, 'profile.json'), encoding='utf-8') as file:
            profile = json.load(file)
        settings = {key: profile[key] for key in _PROFILE_KEYS if key in profile}
        seals = 'agency' in profile and 'approver' not in profile
        files = {**_PROFILE_FILES, **(_SEAL_FILES if seals else {})}
        if os.path.exists(os.path.join(folder, 'log.policy')):
            files.update(_LOG_FILES)
        settings.update({key: os.path.join(folder, name) for key, name in files.items()})
        settings.update({key: profile[key] for key in ('sign_key', 'seal_key') if key in profile})  # keys in a token
        return cls(settings, **more)

    def close(self) -> None:
        """Closes the connection and releases everything that was made with this client."""
        for child in list(getattr(self, '_children', ())):
            child.close()
        super().close()

    def _done(self, code: int, answer: Optional[Answer] = None) -> None:
        if code != 0:
            raise self._lib.error(code, _text(self._lib.errmsg(self._ptr)), answer)

    def _made(self, call: Callable[..., int], *arguments: Any) -> Optional[int]:
        """Calls something whose last parameter is a pointer to what it gives."""
        out = ctypes.c_void_p()
        self._done(call(*arguments, ctypes.byref(out)))
        return out.value

    def _answered(self, call: Callable[..., int], *arguments: Any, decides: bool = False) -> Answer:
        """A call that waits. `decides`: a decision is an answer whatever it says."""
        out = ctypes.c_void_p()
        code = call(*arguments, ctypes.byref(out))
        answer = Answer(self._lib, out.value) if out.value else None
        if not (decides and answer is not None and answer.kind == 'decision'):
            self._done(code, answer)
        if answer is None:
            raise self._lib.error(int(Code.INTERNAL), 'the library gave no answer')
        return answer

    # ---- settings and the connection

    def set(self, key: str, value: object) -> None:
        """Sets one setting (the table at liaison_set); None unsets it."""
        with self._lock:
            text = '' if value is None else str(value)
            self._done(self._lib.set(self._ptr, key.encode(), text.encode()))

    def connect(self) -> None:
        """Connects now, once, so that what is wrong is said at once."""
        with self._lock:
            self._done(self._lib.connect(self._ptr))

    def disconnect(self) -> None:
        """Closes the connection; the next call opens it again."""
        with self._lock:
            self._lib.close(self._ptr)

    @property
    def welcome(self) -> Welcome:
        """What the broker said when the session began."""
        out, length = ctypes.c_void_p(), ctypes.c_size_t()
        with self._lock:
            self._done(self._lib.welcome(self._ptr, ctypes.byref(out), ctypes.byref(length)))
            found = decode(_Frame, _bytes_at(out.value, length.value)).welcome
        if found is None:
            raise self._lib.error(int(Code.MALFORMED), '')
        return found

    # ---- referrals

    def referral(self, fields: Mapping[str, object], sections: Optional[Sections] = None) -> Referral:
        """Makes a referral with these fields (the table at liaison_referral_set) and sections."""
        with self._lock:
            made = Referral(self, self._made(self._lib.referral_new, self._ptr))
        for key, value in fields.items():
            made.set(key, value)
        for name, content in (sections or {}).items():
            made.section(name, content)
        return made

    def referral_from_bytes(self, data: bytes) -> Referral:
        """The sealed referral that these bytes are; they are sent exactly so."""
        with self._lock:
            return Referral(self, self._made(self._lib.referral_from_bytes, self._ptr, data, len(data)))

    def seal(self, *referrals: Referral) -> None:
        """Seals every section to its recipient and signs all of them (at most 1,024) with one signature."""
        with self._lock:
            self._done(self._lib.seal(self._ptr, self._array(referrals), len(referrals)))

    def sign(self, *referrals: Referral) -> None:
        """Signs sealed referrals again, after the signing certificate was renewed."""
        with self._lock:
            self._done(self._lib.sign(self._ptr, self._array(referrals), len(referrals)))

    @staticmethod
    def _array(referrals: Sequence[Referral]) -> Any:
        return (ctypes.c_void_p * len(referrals))(*[r._ptr for r in referrals])

    def submit(self, referral: Referral, strip: bool = False) -> Answer:
        """True afterwards: it is durable, its ledger entry with it, and it waits in the recipient's mailbox.
        `strip` drops the sections that no rule grants instead of refusing."""
        with self._lock:
            return self._answered(self._lib.submit, self._ptr, referral._ptr, _STRIP if strip else 0)

    def check(self, referral: Referral, strip: bool = False) -> Answer:
        """Asks what submit would be told: look at `ok`, `code`, `text`, `granted`, `rules`, `obligations`."""
        with self._lock:
            return self._answered(self._lib.check, self._ptr, referral._ptr, _STRIP if strip else 0, decides=True)

    def reseal(self, item: Item, to: str, sections: Sections, strip: bool = False) -> Answer:
        """Seals what we sent again, one version higher, to the agency that took its recipient's place, and hands it in."""
        envelope = item.envelope
        words = ('type', 'category', 'purpose', 'basis', 'subject_category', 'minor', 'regime', 'handling', 'informed',
                 'urgency', 'officer')
        fields: Dict[str, object] = {word: getattr(envelope, word) for word in words}
        fields.update(id=envelope.id, version=envelope.version + 1, case_id=envelope.case_id.hex(), to=to)
        if envelope.due_unix_ms:
            fields['due_unix_ms'] = envelope.due_unix_ms
        if envelope.caused_by is not None:
            fields.update(caused_by_from=envelope.caused_by.sender, caused_by_id=envelope.caused_by.id)
        with self.referral(fields, sections) as again:
            self.seal(again)
            return self.submit(again, strip)

    # ---- moves

    def _move(self, item: Union[Item, Reference], move: str, version: Optional[int], sections: Optional[Sections],
              fields: Mapping[str, object]) -> _Move:
        if version is None:
            if not isinstance(item, Item):
                raise ValueError('a Reference has no version; give one')
            version = item.version
        made = _Move(self, self._made(self._lib.action_new, self._ptr))
        every = {'from': item.sender, 'id': item.id, 'move': move, 'version': version, **fields}
        for key, value in every.items():
            if value is not None:
                self._done(self._lib.action_set(made._ptr, key.encode(), str(value).encode()))
        for name, given in (sections or {}).items():
            content = _content(given)
            self._done(self._lib.action_section(made._ptr, name.encode(), content.content_type.encode(), content.data,
                                                len(content.data)))
        return made

    def act(self, item: Union[Item, Reference], move: str, version: Optional[int] = None,
            sections: Optional[Sections] = None, **fields: object) -> Answer:
        """Makes a move: accept, reject, start, complete, withdraw, acknowledge (handling H3), permit (handling H2; `to`: to whom
        it may be passed on) or, as an approver, approve. `version` is the state version that was seen (of an Item:
        its own); `sections` flow back, sealed to the other party; fields are reason, officer, purpose, basis, to."""
        with self._lock, self._move(item, move, version, sections, fields) as made:
            return self._answered(self._lib.act, self._ptr, made._ptr)

    # ---- the broker's log, and receipts

    @property
    def log_on(self) -> bool:
        """A policy is set (log_policy): checkpoints are verified and receipts come. Without it nothing is verified."""
        return bool(self._lib.log_on(self._ptr))

    def log_seen(self) -> LogSeen:
        """The last checkpoint seen. NOT_FOUND if there is none."""
        size, note, length, quorum_s = _U64(), ctypes.c_void_p(), _SIZE(), _U64()
        with self._lock:
            self._done(self._lib.log_seen(self._ptr, ctypes.byref(size), ctypes.byref(note), ctypes.byref(length),
                                          ctypes.byref(quorum_s)))
            return LogSeen(size.value, ctypes.string_at(note.value or 0, length.value), quorum_s.value)

    def log_judge(self, note: bytes) -> Tuple[int, bytes, int, int]:
        """Judges a signed note by the policy alone: size, root, how many witnesses, by when their quorum (0: not)."""
        size, root, witnesses, quorum_s = _U64(), ctypes.create_string_buffer(32), _SIZE(), _U64()
        with self._lock:
            self._done(self._lib.log_judge(self._ptr, note, len(note), ctypes.byref(size), root, ctypes.byref(witnesses),
                                           ctypes.byref(quorum_s)))
            return size.value, root.raw, witnesses.value, quorum_s.value

    def claim(self, answer: Answer) -> Receipt:
        """The claim of an answer that has an entry: what to save at once; `prove` makes a receipt of it."""
        with self._lock:
            return Receipt(self, self._made(self._lib.receipt_claim, self._ptr, answer._ptr))

    def next_receipt(self, timeout: Optional[float] = None) -> Receipt:
        """The next receipt that came, whichever it is of."""
        with self._lock:
            return Receipt(self, self._made(self._lib.receipt_next, self._ptr, -1 if timeout is None else int(timeout * 1000)))

    def receipts_awaited(self) -> int:
        """Answers whose receipts have not come."""
        return int(self._lib.receipts_awaited(self._ptr))

    def read_receipt(self, text: Union[str, bytes]) -> Receipt:
        """Reads a receipt or claim from its text, which proves nothing yet."""
        data = text.encode() if isinstance(text, str) else text
        with self._lock:
            return Receipt(self, self._made(self._lib.receipt_read, self._ptr, data, len(data)))

    def checkpoint(self) -> Answer:
        """The broker's newest checkpoint: look at `note` and `verified`."""
        with self._lock:
            return self._answered(self._lib.checkpoint, self._ptr)

    def prove(self, seqs: Sequence[int] = (), old_size: int = 0, size: int = 0) -> Answer:
        """Proofs for entries, and that the log has grown from old_size on; see liaison_prove and `includes`."""
        with self._lock:
            return self._answered(self._lib.prove, self._ptr, (_U64 * len(seqs))(*seqs), len(seqs), old_size, size)

    def prove_witnessed(self, seqs: Sequence[int] = ()) -> Answer:
        """The same under the newest checkpoint that the broker's quorum of witnesses has cosigned."""
        with self._lock:
            return self._answered(self._lib.prove_witnessed, self._ptr, (_U64 * len(seqs))(*seqs), len(seqs))

    def includes(self, proof: Answer, entry: bytes) -> bool:
        """This verified proof says that the entry is in the log."""
        with self._lock:
            return bool(self._lib.answer_includes(self._ptr, proof._ptr, entry, len(entry)))

    def cosign(self, note: bytes) -> None:
        """Hands in a checkpoint with a witness's cosignature."""
        with self._lock:
            self._done(self._lib.cosign(self._ptr, note, len(note)))

    def summarize(self, agency: str) -> Answer:
        """Has a summary written now: look at `count`."""
        with self._lock:
            return self._answered(self._lib.summarize, self._ptr, agency.encode())

    def hashes(self, level: int, start: int, limit: int = 1024) -> Answer:
        """Hashes of complete subtrees, for auditors: look at `content`."""
        with self._lock:
            return self._answered(self._lib.hashes, self._ptr, level, start, limit)

    def rule_text(self, rule_set: bytes) -> Answer:
        """The rules that an entry's rule_set names, for auditors: look at `content`."""
        if len(rule_set) != 32:
            raise ValueError('a rule_set has 32 bytes')
        with self._lock:
            return self._answered(self._lib.rule_text, self._ptr, rule_set)

    def rules_cited(self, rule_set: bytes, rules: Sequence[bytes]) -> Answer:
        """Single rules of that set by their ids, as entries cite them, for auditors: look at `rules`."""
        if len(rule_set) != 32 or any(len(r) != 32 for r in rules):
            raise ValueError('a rule_set, and the id of a rule, have 32 bytes')
        with self._lock:
            return self._answered(self._lib.rules_cited, self._ptr, rule_set, b''.join(rules), len(rules))

    # ---- reading

    def open(self, item: Union[Item, Reference]) -> View:
        """Reads a referral with its granted sections and moves: a disclosure, logged. Every signature is verified."""
        with self._lock:
            answer = self._answered(self._lib.open_referral, self._ptr, item.sender.encode(), item.id.encode())
            view = View(self._lib, answer._pointer)
            answer._pointer = None  # handed over
            letters = [self.verify(view, i) for i in range(view.signed)]
            view.referral, view.actions = letters[0], tuple(letters[1:])
            return view

    def verify(self, answer: Answer, index: int = 0) -> Letter:
        """True afterwards: the index-th signed thing was signed by the agency that its bytes name, with a certificate that
        holds now, and its sections match the signed digests."""
        with self._lock:
            return Letter(self, self._made(self._lib.verify, self._ptr, answer._ptr, index))

    def verify_bytes(self, what: str, data: bytes) -> Letter:
        """The same for the bytes of a SignedReferral ("referral") or SignedAction ("action")."""
        with self._lock:
            return Letter(self, self._made(self._lib.verify_bytes, self._ptr, what.encode(), data, len(data)))

    def pages(self, kind: str, keys: Optional[Mapping[str, object]] = None) -> Iterator[Answer]:
        """Pages of a query: list, history, directory, entries (the table at liaison_query_new)."""
        with self._lock:
            query = _Query(self, self._made(self._lib.query_new, self._ptr, kind.encode()))
            for key, value in (keys or {}).items():
                if value is not None:
                    self._done(self._lib.query_set(query._ptr, key.encode(), str(value).encode()))
        with query:
            while self._lib.query_more(query._ptr):
                with self._lock:  # not while the caller looks at the page
                    page = self._answered(self._lib.query_next, query._ptr)
                yield page

    def _box(self, box: str, finished: bool) -> Iterator[Item]:
        for page in self.pages('list', {'box': box, 'finished': 'yes' if finished else 'no'}):
            for index, card in enumerate(page.cards):
                trouble: Optional[LiaisonError] = None
                try:
                    self.verify(page, index).close()
                except LiaisonError as error:
                    trouble = error
                raw = card.referral.envelope if card.referral is not None else b''
                yield Item(card, decode(Envelope, raw), trouble)

    def inbox(self, finished: bool = False) -> Iterator[Item]:
        """The referrals that came to us; finished ones too if asked."""
        return self._box('inbox', finished)

    def sent(self, finished: bool = False) -> Iterator[Item]:
        """The referrals that we sent."""
        return self._box('sent', finished)

    def history(self, item: Union[Item, Reference]) -> Iterator[Entry]:
        """Who did what when with a referral."""
        for page in self.pages('history', {'from': item.sender, 'id': item.id}):
            yield from page.entries

    def directory(self, agency: Optional[str] = None, kind: Optional[str] = None, area: Optional[str] = None,
                  skill: Optional[str] = None, language: Optional[str] = None) -> Iterator[Agency]:
        """The agencies of the network."""
        asked = {'agency': agency, 'kind': kind, 'area': area, 'skill': skill, 'language': language}
        for page in self.pages('directory', asked):
            yield from page.agencies

    def entries(self, **keys: object) -> Iterator[Entry]:
        """The audit trail, for auditors: agency, referral, event, from_ns, until_ns. An agency may ask for its own name and
        event 'key': which certificates were seen that bear it."""
        for page in self.pages('entries', keys):
            yield from page.entries

    # ---- the mailbox

    def grant(self, messages: int, size: int = 16 << 20) -> None:
        """Lets the broker have that many more messages and bytes unacknowledged with us."""
        with self._lock:
            self._done(self._lib.grant(self._ptr, messages, size))

    def next(self, timeout: Optional[float] = None) -> Optional[Answer]:
        """The next delivery; None after `timeout` seconds without one (None: waits for ever)."""
        with self._lock:
            return self._awaited(self._lib.next, timeout)

    def ack(self, *deliveries: Answer) -> None:
        """Takes deliveries out of the mailbox for good."""
        with self._lock:
            self._done(self._lib.ack(self._ptr, *self._leases(deliveries)))

    @staticmethod
    def _leases(deliveries: Sequence[Answer]) -> Tuple[Any, Any, int]:
        array = ctypes.c_uint64 * len(deliveries)
        return array(*[d.mailbox for d in deliveries]), array(*[d.lease for d in deliveries]), len(deliveries)

    def _awaited(self, call: Callable[..., int], timeout: Optional[float]) -> Optional[Answer]:
        out = ctypes.c_void_p()
        milliseconds = -1 if timeout is None else min(int(timeout * 1000), 2**31 - 1)
        code = call(self._ptr, milliseconds, ctypes.byref(out))
        if code == Code.TIMEOUT:
            return None
        self._done(code)
        return Answer(self._lib, out.value)

    # ---- calls that do not wait

    def _queued(self, call: Callable[..., int], *arguments: Any) -> int:
        number = ctypes.c_uint64()
        self._done(call(self._ptr, *arguments, ctypes.byref(number)))
        return number.value

    def send_submit(self, referral: Referral, strip: bool = False) -> int:
        """Queues a submit; gives its number, which the answer carries."""
        with self._lock:
            return self._queued(self._lib.send_submit, referral._ptr, _STRIP if strip else 0)

    def send_act(self, item: Union[Item, Reference], move: str, version: Optional[int] = None,
                 sections: Optional[Sections] = None, **fields: object) -> int:
        """Queues a move. Sealing its sections may wait for the directory."""
        with self._lock, self._move(item, move, version, sections, fields) as made:
            return self._queued(self._lib.send_act, made._ptr)

    def send_grant(self, messages: int, size: int = 16 << 20) -> int:
        """Queues a grant."""
        with self._lock:
            return self._queued(self._lib.send_grant, messages, size)

    def send_entries(self, start: int, end: int) -> int:
        """Entries [start, end) of the newest log, for auditors, on one page that may end early."""
        with self._lock:
            return self._queued(self._lib.send_entries, self._ptr, start, end)

    def send_hashes(self, level: int, start: int, limit: int = 1024) -> int:
        """As `hashes`."""
        with self._lock:
            return self._queued(self._lib.send_hashes, self._ptr, level, start, limit)

    def send_ack(self, *deliveries: Answer) -> int:
        """Queues an acknowledgement."""
        with self._lock:
            return self._queued(self._lib.send_ack, *self._leases(deliveries))

    def receive(self, timeout: Optional[float] = 0) -> Optional[Answer]:
        """The next answer or delivery, be it good or bad; None if none came in time. 0 does what can be done at once."""
        with self._lock:
            return self._awaited(self._lib.receive, timeout)

    @property
    def outstanding(self) -> int:
        """Calls queued or in flight."""
        return int(self._lib.outstanding(self._ptr))

    def fileno(self) -> int:
        """Polls readable when receive(0) has something to do. Never read it or close it."""
        return int(self._lib.fd(self._ptr))


# ---------------------------------------------------------------------------------------------- asyncio

_TICK_S = 0.5


class AsyncLiaison:
    """A client on the running event loop: submits, moves, grants and acknowledgements share one connection and wait for
    nobody; what only waits (check, open, lists) runs in a thread of its own meanwhile. Takes over the Liaison that it is given.

        async with AsyncLiaison(Liaison.from_profile(directory)) as client:
            answers = await asyncio.gather(*[client.submit(r) for r in referrals])
    """

    def __init__(self, client: Liaison) -> None:
        self.client = client
        self._calls: Dict[int, 'asyncio.Future[Answer]'] = {}
        self._deliveries: 'asyncio.Queue[Union[Answer, LiaisonError]]' = asyncio.Queue()
        self._lock = asyncio.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, 'liaison')
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._ticker: Optional['asyncio.Task[None]'] = None
        self._busy = self._listens = False

    async def __aenter__(self) -> 'AsyncLiaison':
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.client.fileno(), self._pump)
        self._ticker = self._loop.create_task(self._tick())
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends it; calls without an answer are cancelled."""
        if self._loop is None:
            return
        async with self._lock:
            if self._ticker is not None:
                self._ticker.cancel()
            self._loop.remove_reader(self.client.fileno())
            self._loop = None
            for future in self._calls.values():
                future.cancel()
            self._calls.clear()
            self._thread.shutdown()
            self.client.close()

    async def _tick(self) -> None:
        """Deadlines and the pauses between attempts to connect make no descriptor readable."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self._calls or self._listens:
                self._pump()

    def _pump(self) -> None:
        """Does what can be done at once, and hands out what came."""
        if self._busy or self._loop is None:
            return
        try:
            while True:
                answer = self.client.receive(0)
                if answer is None:
                    return
                self._hand_out(answer)
        except LiaisonError as error:
            self._failed(error)

    def _hand_out(self, answer: Answer) -> None:
        if answer.call == 0:
            self._deliveries.put_nowait(answer)
            return
        future = self._calls.pop(answer.call, None)
        if future is None or future.done():
            answer.close()
        elif answer.ok:
            future.set_result(answer)
        else:
            future.set_exception(self.client._lib.error(int(answer.code), answer.text, answer))

    def _failed(self, error: LiaisonError) -> None:
        """What waiting does not cure: everybody who waits is told."""
        calls, self._calls = self._calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(error)
        if self._listens:
            self._listens = False
            self._deliveries.put_nowait(error)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise ValueError('AsyncLiaison is closed, or was not entered with "async with"')
        return self._loop

    async def _run(self, call: Callable[[], _T]) -> _T:
        """Runs something that waits, in the thread; nothing else touches the client meanwhile."""
        async with self._lock:
            loop = self._running()
            loop.remove_reader(self.client.fileno())
            self._busy = True
            future = loop.run_in_executor(self._thread, call)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait([future])
                raise
            finally:
                self._busy = False
                loop.add_reader(self.client.fileno(), self._pump)
                loop.call_soon(self._pump)

    async def _send(self, queue: Callable[[], int]) -> Answer:
        loop = self._running()
        async with self._lock:
            number = queue()
            future: 'asyncio.Future[Answer]' = loop.create_future()
            self._calls[number] = future
        loop.call_soon(self._pump)  # what is queued in this round shares a write
        try:
            return await future
        finally:
            self._calls.pop(number, None)

    async def connect(self) -> None:
        """As Liaison.connect."""
        await self._run(self.client.connect)

    async def seal(self, *referrals: Referral) -> None:
        """As Liaison.seal."""
        await self._run(lambda: self.client.seal(*referrals))

    async def submit(self, referral: Referral, strip: bool = False) -> Answer:
        """As Liaison.submit; any number at once."""
        return await self._send(lambda: self.client.send_submit(referral, strip))

    async def check(self, referral: Referral, strip: bool = False) -> Answer:
        """As Liaison.check."""
        return await self._run(lambda: self.client.check(referral, strip))

    async def act(self, item: Union[Item, Reference], move: str, version: Optional[int] = None,
                  sections: Optional[Sections] = None, **fields: object) -> Answer:
        """As Liaison.act. With sections it runs in the thread: sealing them may ask the directory."""
        if sections:
            return await self._run(lambda: self.client.act(item, move, version, sections, **fields))
        return await self._send(lambda: self.client.send_act(item, move, version, None, **fields))

    async def open(self, item: Union[Item, Reference]) -> View:
        """As Liaison.open."""
        return await self._run(lambda: self.client.open(item))

    async def verify(self, answer: Answer, index: int = 0) -> Letter:
        """As Liaison.verify."""
        return await self._run(lambda: self.client.verify(answer, index))

    async def inbox(self, finished: bool = False) -> List[Item]:
        """As Liaison.inbox."""
        return await self._run(lambda: list(self.client.inbox(finished)))

    async def sent(self, finished: bool = False) -> List[Item]:
        """As Liaison.sent."""
        return await self._run(lambda: list(self.client.sent(finished)))

    async def history(self, item: Union[Item, Reference]) -> List[Entry]:
        """As Liaison.history."""
        return await self._run(lambda: list(self.client.history(item)))

    async def grant(self, messages: int, size: int = 16 << 20) -> None:
        """As Liaison.grant."""
        (await self._send(lambda: self.client.send_grant(messages, size))).close()

    async def ack(self, *deliveries: Answer) -> None:
        """As Liaison.ack."""
        (await self._send(lambda: self.client.send_ack(*deliveries))).close()

    async def deliveries(self, messages: int = 16, size: int = 16 << 20) -> AsyncIterator[Answer]:
        """What comes into the mailbox, for ever, across restarts of the broker. Acknowledge each to make room for more."""
        self._listens = True
        await self.grant(messages, size)
        while True:
            got = await self._deliveries.get()
            if isinstance(got, LiaisonError):
                raise got
            yield got
