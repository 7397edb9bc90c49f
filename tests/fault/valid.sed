# Makes tests/fault/strict-seeded's copy of proto/valid.c: with `seeded` = N, check N is left out. tests/e2e/02-mutants must
# find every one of them, and says so when a line has changed and the fault is no longer seeded. "# N: ..." is its report.
/^enum { WIRE_VARINT/i extern int seeded;
# 1: a varint of more than 64 bits
s/if (shift == 63 && byte > 1)/if (seeded != 1 \&\& shift == 63 \&\& byte > 1)/
# 2: a varint longer than need be
s/return byte != 0 || shift == 0;/return seeded == 2 || byte != 0 || shift == 0;/
# 3: a number's default written out
s/if (v == 0 && f->label/if (seeded != 3 \&\& v == 0 \&\& f->label/
# 4: a uint32 of more than 32 bits
s/return v <= UINT32_MAX;/return seeded == 4 || v <= UINT32_MAX;/
# 5: true as another number than 1
s/return v <= 1;/return seeded == 5 || v <= 1;/
# 6: a choice whose number has more than 31 bits
s/return v <= INT32_MAX &&/return (seeded == 6 || v <= INT32_MAX) \&\&/
# 7: a choice that is none
s/protobuf_c_enum_descriptor_get_value(f->descriptor, (int)v) != NULL;/(seeded == 7 || &/
/(seeded == 7/s/!= NULL;/!= NULL);/
# 8: packed numbers without end
s/++count > VALID_REPEATED_MAX)/(++count > VALID_REPEATED_MAX \&\& seeded != 8))/
# 9: no packed number at all
s/return count > 0;/return seeded == 9 || count > 0;/
# 10: bytes of another wire type
s/return wire == WIRE_BYTES && scan_bytes(s, &body) &&$/return (seeded == 10 || wire == WIRE_BYTES) \&\& scan_bytes(s, \&body) \&\&/
# 11: a number of another wire type
s/return wire == WIRE_VARINT && /return (seeded == 11 || wire == WIRE_VARINT) \&\& /
# 12: empty text written out
s/(body.n > 0 ||/(seeded == 12 || body.n > 0 ||/
# 13: text that is not UTF-8
s/(f->type == PROTOBUF_C_TYPE_BYTES || valid_utf8(body))/(seeded == 13 || f->type == PROTOBUF_C_TYPE_BYTES || valid_utf8(body))/
# 14: NUL in text
s/bytes.p\[i\] > 0 && bytes.p\[i\] < 0x80/(seeded == 14 || bytes.p[i] > 0) \&\& bytes.p[i] < 0x80/
# 15: two members of a oneof
s/if (seen\[i\] == f->quantifier_offset)/if (seeded != 15 \&\& seen[i] == f->quantifier_offset)/
# 16: a tag of more than 32 bits
s/tag >> 3 > UINT32_MAX)/(seeded != 16 \&\& tag >> 3 > UINT32_MAX))/
# 17: unknown fields
s/^        if (f == NULL || f->id < last)/        if (seeded == 17 \&\& f == NULL \&\&\n            ((tag \& 7) == 0 ? scan_varint(\&s, \&tag)\n                            : (tag \& 7) == 2 \&\& scan_bytes(\&s, \&(struct slice){0})))\n            continue;\n&/
# 18: fields in any order
s/if (f == NULL || f->id < last)/if (f == NULL || (seeded != 18 \&\& f->id < last))/
# 19: a field twice
# 20: a list without end
s/if (!list || ++repeats >= VALID_REPEATED_MAX)/if ((seeded != 19 \&\& !list) || (seeded != 20 \&\& ++repeats >= VALID_REPEATED_MAX))/
# 21: overlong text and surrogates
s/p\[1\] < FORMS\[i\].second_low/p[1] < (seeded == 21 ? 0x80 : FORMS[i].second_low)/
s/p\[1\] > FORMS\[i\].second_high)/p[1] > (seeded == 21 ? 0xbf : FORMS[i].second_high))/
# 22: text whose third byte is anything
s/if (p\[j\] < 0x80 || p\[j\] > 0xbf)/if (seeded != 22 \&\& (p[j] < 0x80 || p[j] > 0xbf))/
