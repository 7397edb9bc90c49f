"""Messages of every type in liaison.proto, mutated on purpose: each kind of mutation breaks one rule of PROTOCOL.md, "Strict
decoding", or none.

    KINDS                     (words, which are to be taken: all, none, some or any; weight, function of a Base)
    start(classes, seed)      makes well-formed messages of these types, whose places in the list are their numbers
    mutants(n)                gives n times (place in KINDS, number of the type, bytes), all kinds mixed

Everything in the messages is random and means nobody.
"""
import random

from google.protobuf.descriptor import FieldDescriptor as F

LIST_MAX = 4096
VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
rng = random.Random()
CLASS, POOL, LONG = [], [], []


NUMBERS = F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_BOOL, F.TYPE_ENUM


def packed(f):
    return f.label == F.LABEL_REPEATED and f.type in NUMBERS


def choices(f):
    """The numbers of a choice, and their names."""
    return {v.number: v.name for v in f.enum_type.values}


def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def read_varint(data, at):
    v = shift = 0
    while True:
        v |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 128:
            return v, at


def tag(number, wire_type):
    return varint(number << 3 | wire_type)


TEXTS = ['4711', 'law', 'fr/lyon/prison', 'practicies.example', 'é', '☎ 零', '\U0001f642', '\x7f', '\u0080', '\u07ff', '\u0800',
         '\ud7ff', '\ue000', '\uffff', '\U00010000', '\U0010ffff', 'x' * 127, 'x' * 128]
EDGES = [1, 2, 127, 128, 16383, 16384, 2**31 - 1, 2**31, 2**32 - 1]


def random_value(f):
    if f.type == F.TYPE_STRING:
        return rng.choice(TEXTS)
    if f.type == F.TYPE_BYTES:
        return rng.randbytes(rng.choice((1, 16, 32, 32, 127, 128)))
    if f.type == F.TYPE_BOOL:
        return True
    if f.type == F.TYPE_ENUM:
        return rng.choice([v.number for v in f.enum_type.values if v.number])
    return rng.choice(EDGES + [2**32, 2**63, 2**64 - 1] * (f.type == F.TYPE_UINT64))


def fill(m, density):
    oneofs = {o.name: rng.choice(o.fields).name for o in m.DESCRIPTOR.oneofs}
    for f in m.DESCRIPTOR.fields:
        if oneofs[f.containing_oneof.name] != f.name if f.containing_oneof else rng.random() > density:
            continue
        many = f.label == F.LABEL_REPEATED
        if f.type == F.TYPE_MESSAGE:
            for _ in range(rng.randint(1, 3) if many else 1):
                part = getattr(m, f.name).add() if many else getattr(m, f.name)
                part.SetInParent()
                fill(part, density * 0.9)
        elif many:
            getattr(m, f.name).extend(random_value(f) for _ in range(rng.randint(1, 3)))
        else:
            setattr(m, f.name, random_value(f))
    return m


class Field:
    """One field as it stands in a message: tag from `start`, length from `length`, value from `value` to `end`."""

    def __init__(self, inside, f, start, length, value, end):
        self.inside, self.f, self.start, self.length, self.value, self.end = inside, f, start, length, value, end
        self.is_bytes = f.type in (F.TYPE_STRING, F.TYPE_BYTES, F.TYPE_MESSAGE) or f.label == F.LABEL_REPEATED
        self.is_packed = packed(f)


class Part:
    """A message within a message: its fields, and the length prefixes around it, outermost first."""

    def __init__(self, descriptor, begin, end, around):
        self.descriptor, self.begin, self.end, self.around, self.fields = descriptor, begin, end, around, []

    def place(self, number):
        """Where a field of this number belongs."""
        return next((x.start for x in self.fields if x.f.number > number), self.end)


class Base:
    def __init__(self, kind, data):
        self.kind, self.data, self.fields, self.parts = kind, data, [], []
        self.read(CLASS[kind].DESCRIPTOR, 0, len(data), ())

    def read(self, descriptor, at, end, around):
        part = Part(descriptor, at, end, around)
        self.parts.append(part)
        while at < end:
            t, length = read_varint(self.data, at)
            f = descriptor.fields_by_number[t >> 3]
            number, value = read_varint(self.data, length)
            x = Field(part, f, at, length, value if t & 7 == BYTES else length, value + number if t & 7 == BYTES else value)
            part.fields.append(x)
            self.fields.append(x)
            if f.type == F.TYPE_MESSAGE:
                self.read(f.message_type, x.value, x.end, around + ((x.length, x.value, x.end),))
            at = x.end

    def splice(self, part, begin, end, fresh):
        """The message with other bytes from `begin` to `end` of `part`, and the lengths around them right."""
        data, grown = self.data[:begin] + fresh + self.data[end:], len(fresh) - (end - begin)
        for length, value, stop in reversed(part.around):
            prefix = varint(stop - value + grown)
            data = data[:length] + prefix + data[value:]
            grown += len(prefix) - (value - length)
        return data


WEIGHT = {'Frame': 8, 'Envelope': 4, 'Action': 4, 'LedgerEntry': 4, 'SignedReferral': 4, 'SignedAction': 3, 'SectionBody': 3,
          'SectionHeader': 2, 'View': 2}


def start(classes, seed):
    rng.seed(seed)
    CLASS[:], POOL[:] = classes, []
    for _ in range(20):
        for kind, one in enumerate(CLASS):
            for _ in range(WEIGHT.get(one.DESCRIPTOR.name, 1)):
                POOL.append(Base(kind, fill(one(), rng.choice((0.4, 0.8, 1))).SerializeToString()))
    LONG[:] = [(kind, f) for kind, one in enumerate(CLASS) for f in one.DESCRIPTOR.fields if f.label == F.LABEL_REPEATED]


# ---------------------------------------------------------------- mutations

KINDS = []  # (words, which are to be taken: all, none, some, any; how often; function of a Base that gives bytes or None)


def kind_of(words, taken, times=1.0):
    def add(function):
        KINDS.append((words, taken, times, function))
        return function
    return add


def some_field(b, suits=lambda x: True):
    found = [x for x in b.fields if suits(x)]
    return rng.choice(found) if found else None


def on_field(words, taken, suits=lambda x: True):
    """A mutation of one field that suits: the function gives (begin, end, fresh bytes)."""
    def add(function):
        def mutate(b):
            x = some_field(b, suits)
            return x and b.splice(x.inside, *function(b, x))
        KINDS.append((words, taken, 1.0, mutate))
        return function
    return add


def number(*types):
    return lambda x: x.f.type in types and not x.is_packed


def longer(data):
    """The same varint, longer than need be."""
    return data[:-1] + bytes([data[-1] | 128]) + b'\x80' * rng.choice((0, 0, 1, 2, max(0, 8 - len(data)))) + b'\0'


any_number, is_text = number(*NUMBERS), number(F.TYPE_STRING)
whole = lambda b, x: b.data[x.start:x.end]  # noqa: E731


@kind_of('as it was made', 'all')
def _(b):
    return b.data


@on_field('a field left out', 'all')
def _(b, x):
    return x.start, x.end, b''


@on_field('another text', 'all', is_text)
def _(b, x):
    fresh = (''.join(rng.choice(TEXTS) for _ in range(rng.randint(1, 4)))).encode()
    return x.length, x.end, varint(len(fresh)) + fresh


@on_field('another number at an edge', 'all', number(F.TYPE_UINT32, F.TYPE_UINT64))
def _(b, x):
    return x.value, x.end, varint(random_value(x.f))


@on_field('another choice', 'all', number(F.TYPE_ENUM))
def _(b, x):
    return x.value, x.end, varint(random_value(x.f))


@on_field('one more element of a list', 'all', lambda x: x.f.label == F.LABEL_REPEATED and not x.is_packed)
def _(b, x):
    return x.end, x.end, rng.choice((whole(b, x), tag(x.f.number, BYTES) + b'\0'))


@on_field('packed numbers, 0 among them', 'all', lambda x: x.is_packed and x.f.type != F.TYPE_ENUM)  # known numbers alone
def _(b, x):
    fresh = b''.join(varint(rng.choice(EDGES + [0])) for _ in range(rng.randint(1, 5)))
    return x.length, x.end, varint(len(fresh)) + fresh


@on_field('a tag longer than need be', 'none')
def _(b, x):
    return x.start, x.length, longer(b.data[x.start:x.length])


@on_field('a length longer than need be', 'none', lambda x: x.is_bytes)
def _(b, x):
    return x.length, x.value, longer(b.data[x.length:x.value])


@on_field('a number longer than need be', 'none', any_number)
def _(b, x):
    return x.value, x.end, longer(b.data[x.value:x.end])


@on_field('packed numbers, one longer than need be', 'none', lambda x: x.is_packed)
def _(b, x):
    fresh = b'\x01' + longer(varint(rng.choice(EDGES))) + b'\x02'
    return x.length, x.end, varint(len(fresh)) + fresh


@on_field('a number of more than 64 bits', 'none', any_number)
def _(b, x):
    v = read_varint(b.data, x.value)[0]
    return x.value, x.end, rng.choice((varint(v | 1 << rng.randint(64, 69)), b'\xff' * 10 + b'\x01', varint(v | 1 << 80)))


@on_field('a uint32 of more than 32 bits', 'none', number(F.TYPE_UINT32))
def _(b, x):
    return x.value, x.end, varint(read_varint(b.data, x.value)[0] | 1 << rng.randint(32, 63))


@on_field('packed, one of more than 32 or 64 bits', 'none', lambda x: x.is_packed)
def _(b, x):
    fresh = varint(1 | 1 << (rng.randint(32, 63) if x.f.type == F.TYPE_UINT32 else rng.randint(64, 69)))
    return x.length, x.end, varint(len(fresh)) + fresh


@on_field('true as another number', 'none', number(F.TYPE_BOOL))
def _(b, x):
    return x.value, x.end, varint(rng.choice((2, 3, 128, 256, 2**32, 2**32 + 1, 2**64 - 1)))


@on_field('a choice that is none', 'none', number(F.TYPE_ENUM))
def _(b, x):
    known = choices(x.f)
    return x.value, x.end, varint(rng.choice([v for v in list(range(1, 200)) + [2**31 - 1] if v not in known]))


@on_field('a choice of 64 bits', 'none', number(F.TYPE_ENUM))
def _(b, x):
    return x.value, x.end, varint(read_varint(b.data, x.value)[0] | 1 << rng.randint(32, 63))


@on_field('a negative choice', 'none', number(F.TYPE_ENUM))
def _(b, x):
    v = rng.choice((1, 2, 2**31, rng.randint(1, 200)))
    return x.value, x.end, varint(rng.choice((2**64 - v, 2**32 - v)))


@on_field('bytes that are not UTF-8', 'none', is_text)
def _(b, x):
    bad = rng.choice((b'\xff', b'\x80', b'\xc0\xaf', b'\xc1\xbf', b'\xe0\x9f\xbf', b'\xed\xa0\x80', b'\xed\xbf\xbf',
                      b'\xf0\x8f\xbf\xbf', b'\xf4\x90\x80\x80', b'\xf5\x80\x80\x80', b'\xc3', b'\xe2\x82', b'\xe2\x82a',
                      b'\xc3\xc3', b'\xf0\x9f\x99', b'\xf0\x9f\x99\xc2', b'\xfe', b'\xe2\x28\xa1', b'\xf8\x88\x80\x80\x80'))
    fresh = rng.choice((b'', b'law', 'é'.encode())) + bad + rng.choice((b'', b'x'))
    return x.length, x.end, varint(len(fresh)) + fresh


@on_field('NUL in text', 'none', is_text)
def _(b, x):
    text = b.data[x.value:x.end].decode()
    at = rng.randint(0, len(text))
    fresh = (text[:at] + '\0' + text[at:]).encode()
    return x.length, x.end, varint(len(fresh)) + fresh


def once(x):
    return x.f.label != F.LABEL_REPEATED or x.is_packed


@on_field('a field twice', 'none', once)
def _(b, x):
    return x.end, x.end, whole(b, x)


@on_field('a field twice, the second time empty', 'none', once)
def _(b, x):
    return x.end, x.end, tag(x.f.number, BYTES if x.is_bytes else VARINT) + b'\0'


@kind_of('a field twice, far apart', 'none')
def _(b):
    x = some_field(b, lambda x: x.f.label != F.LABEL_REPEATED and x.end < x.inside.end)
    return x and b.splice(x.inside, x.inside.end, x.inside.end, whole(b, x))


@kind_of('two fields the other way round', 'none')
def _(b):
    pairs = [(x, y) for p in b.parts for x, y in zip(p.fields, p.fields[1:]) if x.f is not y.f]
    if not pairs:
        return None
    x, y = rng.choice(pairs)
    return b.splice(x.inside, x.start, y.end, whole(b, y) + whole(b, x))


@kind_of('two elements of a list the other way round', 'all')
def _(b):
    pairs = [(x, y) for p in b.parts for x, y in zip(p.fields, p.fields[1:]) if x.f is y.f]
    if not pairs:
        return None
    x, y = rng.choice(pairs)
    return b.splice(x.inside, x.start, y.end, whole(b, y) + whole(b, x))


def insert(b, part, number, data):
    at = part.place(number)
    return b.splice(part, at, at, data)


def absent(b, suits):
    found = [(p, f) for p in b.parts for f in p.descriptor.fields if suits(p, f) and all(x.f is not f for x in p.fields)]
    return rng.choice(found) if found else (None, None)


@kind_of('a default written out', 'none')
def _(b):
    p, f = absent(b, lambda p, f: f.label != F.LABEL_REPEATED and f.type != F.TYPE_MESSAGE)
    return p and insert(b, p, f.number, tag(f.number, BYTES if f.type in (F.TYPE_STRING, F.TYPE_BYTES) else VARINT) + b'\0')


@kind_of('an empty message that was not there', 'all')
def _(b):
    p, f = absent(b, lambda p, f: f.type == F.TYPE_MESSAGE and not f.containing_oneof)
    return p and insert(b, p, f.number, tag(f.number, BYTES) + b'\0')


@kind_of('two members of a oneof', 'none')
def _(b):
    p, f = absent(b, lambda p, f: f.containing_oneof and any(x.f.containing_oneof for x in p.fields))
    return p and insert(b, p, f.number, tag(f.number, BYTES) + b'\0')


@kind_of('no packed number at all', 'none')
def _(b):
    p, f = absent(b, lambda p, f: packed(f))
    return p and insert(b, p, f.number, tag(f.number, BYTES) + b'\0')


@on_field('packed numbers in two pieces', 'none', lambda x: x.is_packed)
def _(b, x):
    return x.end, x.end, tag(x.f.number, BYTES) + b'\x01\x05'


@on_field('numbers that are not packed', 'none', lambda x: x.is_packed)
def _(b, x):
    return x.start, x.end, b''.join(tag(x.f.number, VARINT) + varint(rng.choice(EDGES)) for _ in range(rng.randint(1, 3)))


@on_field('a number packed that must not be', 'none', any_number)
def _(b, x):
    return x.start, x.end, tag(x.f.number, BYTES) + varint(x.end - x.value) + b.data[x.value:x.end]


@on_field('another wire type in the tag alone', 'none')
def _(b, x):
    right = BYTES if x.is_bytes else VARINT
    return x.start, x.length, tag(x.f.number, rng.choice([t for t in range(8) if t != right]))


def of_wire(number, wire_type):
    body = {VARINT: lambda: varint(rng.choice(EDGES)), FIXED64: lambda: rng.randbytes(8), FIXED32: lambda: rng.randbytes(4),
            BYTES: lambda: varint(5) + rng.randbytes(5), GROUP: lambda: rng.choice((b'', b'\x08\x01')) + tag(number, END_GROUP)}
    return tag(number, wire_type) + body[wire_type]()


@on_field('another wire type', 'none')
def _(b, x):
    right = BYTES if x.is_bytes else VARINT
    return x.start, x.end, of_wire(x.f.number, rng.choice([t for t in (VARINT, FIXED64, BYTES, GROUP, FIXED32) if t != right]))


@kind_of('a group', 'none')
def _(b):
    x, n = some_field(b), rng.choice((1, 5, 16, 1000))
    if x is None:
        return None
    return b.splice(x.inside, x.start, x.end, rng.choice((
        tag(x.f.number, GROUP) + b.data[x.value:x.end] + tag(x.f.number, END_GROUP),
        tag(n, GROUP) + whole(b, x) + tag(n, END_GROUP),
        tag(n, GROUP) + whole(b, x), whole(b, x) + tag(n, END_GROUP))))


@kind_of('an unknown field', 'none')
def _(b):
    p = rng.choice(b.parts)
    numbers = rng.randint(1, 70), 127, 18999, 19500, 2**29 - 1, 2**21
    fresh = rng.choice([n for n in numbers if n not in p.descriptor.fields_by_number])
    data = of_wire(fresh, rng.choice((VARINT, FIXED64, BYTES, GROUP, FIXED32)))
    at = rng.choice([p.place(fresh), p.end] + [x.start for x in p.fields])
    return b.splice(p, at, at, data)


@kind_of('field 0, or a number past the last that is allowed', 'none')
def _(b):
    p = rng.choice(b.parts)
    data = rng.choice((b'\0\x01', b'\x02\x01a', b'\x07', varint(2**32 | 8) + b'\x01', varint(2**32) + b'\x01',
                       b'\xff' * 9 + b'\x01\x01'))
    at = rng.choice([p.begin, p.end] + [x.start for x in p.fields])
    return b.splice(p, at, at, data)


@on_field('a tag of more than 32 bits', 'none')
def _(b, x):
    return x.start, x.length, varint(read_varint(b.data, x.start)[0] | 1 << rng.randint(32, 63))


@kind_of('nested a thousand deep', 'none', 0.1)
def _(b):
    p, depth = rng.choice(b.parts), rng.randint(90, 1000)
    if rng.random() < 0.5:
        data = tag(99, GROUP) * depth + tag(99, END_GROUP) * depth
    else:
        data = b''
        for _ in range(depth):
            data = tag(99, BYTES) + varint(len(data)) + data
    return b.splice(p, p.end, p.end, data)


@kind_of('cut short', 'some')
def _(b):
    return b.data[:rng.randrange(len(b.data))] if b.data else None


@on_field('a length that is wrong', 'any', lambda x: x.is_bytes)
def _(b, x):
    n = x.end - x.value
    wrong = max(0, n - 1), n + 1, n + rng.randint(2, 40), 2**31, 2**32 - 1, 2**32 + n, 2**63, 2**64 - 1
    return x.length, x.value, varint(rng.choice(wrong))


@kind_of('lengths around it not mended', 'any')
def _(b):
    x = some_field(b, lambda x: x.inside.around)
    return x and b.data[:x.start] + rng.choice((b'', whole(b, x) * 2)) + b.data[x.end:]


@kind_of('one bit', 'some')
def _(b):
    return flip(b.data)


def flip(data):
    if not data:
        return None
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


@kind_of('one byte more, less or another', 'some')
def _(b):
    at = rng.randint(0, len(b.data))
    fresh, drop = rng.choice(((rng.randbytes(1), 0), (b'', 1), (rng.randbytes(1), 1), (b'\0', 0), (b'\0', 1), (b'\x80', 0)))
    return b.data[:at] + fresh + b.data[at + drop:]


@kind_of('two messages one after the other', 'any')
def _(b):
    return b.data + rng.choice([o for o in rng.choices(POOL, k=400) if o.kind == b.kind] or [b]).data


@kind_of("another type's message", 'some')
def _(b):
    return rng.choice(POOL).data


@kind_of('a piece of another message', 'any')
def _(b):
    x, o = some_field(b), rng.choice(POOL)
    y = some_field(o)
    return b.splice(x.inside, x.start, x.end, whole(o, y)) if x and y else None


@kind_of('noise', 'any')
def _(b):
    return rng.randbytes(rng.randint(0, 40))


@kind_of('two mutations', 'any')
def _(b):
    data = rng.choice([k for k in KINDS if k[3]])[3](b)
    return flip(data) if data and len(data) < 10000 else None


def long_list(count):
    """A message that is one list of so many elements, packed numbers in one case of four."""
    numbers = rng.random() < 0.25
    kind, f = rng.choice([x for x in LONG if packed(x[1]) == numbers])
    return kind, tag(f.number, BYTES) + varint(count) + b'\x01' * count if numbers else (tag(f.number, BYTES) + b'\0') * count


KINDS.append(('a list of 4,096', 'all', 0.01, None))
KINDS.append(('a list of 4,097', 'none', 0.01, None))
LISTS = {'a list of 4,096': LIST_MAX, 'a list of 4,097': LIST_MAX + 1}


def one(i):
    words, _, _, function = KINDS[i]
    if function is None:
        return (i,) + long_list(LISTS[words])
    for _ in range(2000):
        b = rng.choice(POOL)
        data = function(b)
        if data is not None:
            return i, b.kind, data
    raise SystemExit('no message that "%s" can be done to' % words)


def mutants(n):
    share = n / sum(k[2] for k in KINDS)
    wanted = [i for i, k in enumerate(KINDS) for _ in range(max(20, int(share * k[2])))]
    wanted += [0] * (n - len(wanted))
    rng.shuffle(wanted)
    return (one(i) for i in wanted)
