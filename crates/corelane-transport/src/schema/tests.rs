//! Schemas as the macro writes them and as chance makes them.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Pod, Zeroable, Message)]
#[repr(C)]
#[message(crate = "crate")]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

#[derive(Clone, Copy, Pod, Zeroable, Message)]
#[repr(C)]
#[message(name = "all kinds", crate = "crate")]
pub(super) struct Sample {
    pub(super) wide: u64,
    pub(super) small: i64,
    pub(super) price: f64,
    pub(super) points: [Point; 2],
    pub(super) center: Point,
    pub(super) id: u32,
    pub(super) level: i32,
    pub(super) grid: [[u16; 2]; 3],
    pub(super) port: u16,
    pub(super) shift: i16,
    pub(super) tag: [u8; 6],
    pub(super) r#type: u8,
    pub(super) sign: i8,
}

pub(super) const SAMPLE: Sample = Sample {
    wide: u64::MAX,
    small: i64::MIN,
    price: 10.5,
    points: [Point { x: 1.0, y: -2.5 }, Point { x: 0.1, y: f32::NAN }],
    center: Point { x: f32::INFINITY, y: -0.0 },
    id: 7,
    level: -7,
    grid: [[1, 2], [3, 4], [5, 65535]],
    port: 8080,
    shift: -300,
    tag: *b"abcdef",
    r#type: 255,
    sign: -128,
};

#[derive(Clone, Copy, Pod, Zeroable, Message)]
#[repr(C)]
#[message(crate = "crate")]
struct Trade {
    price: f64,
    venue: [u8; 4],
    at: Spot,
}

#[derive(Clone, Copy, Pod, Zeroable, Message)]
#[repr(C, packed)]
#[message(crate = "crate")]
struct Spot {
    row: u16,
    column: u16,
}

const TRADE_JSON: &str = r#"{"format":1,"struct":{"name":"Trade","size":16,"alignment":8,"fields":[
    {"name":"price","offset":0,"size":8,"type":"f64"},
    {"name":"venue","offset":8,"size":4,"type":{"array":{"of":"u8","length":4}}},
    {"name":"at","offset":12,"size":4,"type":{"struct":{"name":"Spot","size":4,"alignment":1,
        "fields":[{"name":"row","offset":0,"size":2,"type":"u16"},
                  {"name":"column","offset":2,"size":2,"type":"u16"}]}}}]}}"#;

/// Names and types of fields in their order, as a schema without gaps.
fn structure(name: &str, fields: Vec<(String, Type)>) -> Struct {
    let mut end = 0;
    let mut list = Vec::new();
    for (name, ty) in fields {
        let offset = end;
        end += ty.size();
        list.push(Field::new(&name, offset, ty));
    }
    let alignment = 1 << end.trailing_zeros().min(3);
    Struct::new(name, end, alignment, list).expect("the fields lie one behind the other")
}

/// A struct of few names and types, so that two of them are often nearly the same.
fn any_struct() -> impl Strategy<Value = Struct> {
    let scalar = prop::sample::select(&Scalar::ALL[..]).prop_map(Type::Scalar).boxed();
    let ty = scalar.prop_recursive(3, 12, 3, |inner| {
        let array = (inner.clone(), 1usize..4)
            .prop_map(|(of, length)| Type::Array { of: Box::new(of), length });
        prop_oneof![array, struct_of(inner.boxed()).prop_map(Type::Struct)]
    });
    struct_of(ty.boxed())
}

fn struct_of(ty: BoxedStrategy<Type>) -> impl Strategy<Value = Struct> {
    let names = prop::sample::subsequence(vec!["a", "b", "c_1", "_D"], 1..=4).prop_shuffle();
    ("[A-Za-z ]{1,8}", names, prop::collection::vec(ty, 4)).prop_map(|(name, names, types)| {
        let names = names.into_iter().map(str::to_owned);
        structure(&name, names.zip(types).collect())
    })
}

pub(super) fn any_schema() -> impl Strategy<Value = Schema> {
    any_struct().prop_map(Schema::new)
}

/// A schema and a message of it.
pub(super) fn any_message() -> impl Strategy<Value = (Schema, Vec<u8>)> {
    any_schema().prop_flat_map(|schema| {
        let size = schema.size().expect("it is a struct");
        (Just(schema), prop::collection::vec(any::<u8>(), size))
    })
}

/// One field of the struct, made another in one way.
fn changed(it: &Struct, which: prop::sample::Index, how: u8) -> Struct {
    let mut fields: Vec<_> =
        it.fields().iter().map(|field| (field.name().to_owned(), field.ty().clone())).collect();
    let (index, which) = (which, which.index(fields.len()));
    let count = fields.len();
    let (name, ty) = &mut fields[which];
    match (how, &mut *ty) {
        (0, _) => name.push('x'),
        (1, ty) => *ty = Type::Array { of: Box::new(ty.clone()), length: 1 },
        (2, Type::Array { length, .. }) => *length += 1,
        (3, Type::Struct(inner)) => *inner = changed(inner, index, 0),
        (4, _) => fields.push(("added".to_owned(), Type::Scalar(Scalar::U8))),
        (5, _) if count > 1 => drop(fields.remove(which)),
        (6, _) if count > 1 => fields.rotate_left(1),
        (_, Type::Scalar(scalar)) => {
            let others = Scalar::ALL.iter().filter(|other| other.size() == scalar.size());
            *scalar = *others.clone().find(|other| *other != scalar).expect("one of equal size");
        }
        (_, ty) => *ty = Type::Scalar(Scalar::U8),
    }
    structure(it.name(), fields)
}

proptest! {
    #[test]
    fn json_is_read_as_it_was_written(schema in any_schema()) {
        let read = Schema::from_json(&schema.to_json()).unwrap();
        prop_assert_eq!(&read, &schema);
        let through_serde: Schema = serde_json::from_value(serde_json::to_value(&schema)?)?;
        prop_assert_eq!(&through_serde, &schema);
    }

    #[test]
    fn whatever_changes_in_a_field_changes_the_hash(
        it in any_struct(), which: prop::sample::Index, how in 0u8..8,
    ) {
        let (here, there) = (Schema::new(it.clone()), Schema::new(changed(&it, which, how)));
        prop_assert_ne!(here.hash(), there.hash());
        prop_assert!(!here.differences(&there).is_empty());
        prop_assert!(!there.differences(&here).is_empty());
    }

    #[test]
    fn differences_are_told_exactly_when_the_canonical_bytes_differ(
        here in any_schema(), there in any_schema(),
    ) {
        let is_same = here.canonical_bytes() == there.canonical_bytes();
        prop_assert_eq!(is_same, here.hash() == there.hash());
        prop_assert_eq!(is_same, here.differences(&there).is_empty());
    }

    #[test]
    fn whatever_lies_in_a_message_is_decoded((schema, bytes) in any_message()) {
        let decoded = schema.decode(&bytes).unwrap();
        let names: Vec<_> = schema.fields().iter().map(Field::name).collect();
        let found: Vec<_> = decoded.fields().iter().map(|(name, _)| *name).collect();
        prop_assert_eq!(&found, &names);
        prop_assert!(!decoded.to_string().contains('\n'));
        let json = decoded.to_json();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json)?;
        prop_assert_eq!(read.len(), names.len());
        let places: Vec<_> = names.iter().map(|name| json.find(&format!("\"{name}\":"))).collect();
        prop_assert!(places[0] == Some(1) && places.iter().all(Option::is_some), "{}", json);
        prop_assert!(schema.decode(&bytes[1..]).is_err());
    }
}

#[test]
fn the_macro_writes_what_the_compiler_laid_out() {
    let schema = Sample::schema();
    assert_eq!((schema.name(), schema.size(), schema.alignment()), ("all kinds", Some(80), 8));
    let fields: Vec<_> = schema.fields().iter().map(|f| (f.name(), f.offset())).collect();
    assert_eq!(&fields[..4], &[("wide", 0), ("small", 8), ("price", 16), ("points", 24)]);
    assert_eq!(&fields[11..], &[("type", 78), ("sign", 79)]);
    assert_eq!(schema.fields()[3].ty().to_string(), "[struct Point; 2]");
    assert_eq!(schema.fields()[7].ty().to_string(), "[[u16; 2]; 3]");
    assert_eq!(Point::schema().name(), "Point");
}

/// The form that other languages read; a change of it is a new format.
#[test]
fn the_json_form_is_as_documented() {
    let packed: String = TRADE_JSON.lines().map(str::trim_start).collect();
    assert_eq!(Trade::schema().to_json(), packed);
    assert_eq!(Schema::from_json(TRADE_JSON).unwrap(), Trade::schema());
    let bytes = Schema::bytes("frames").unwrap();
    assert_eq!(bytes.to_json(), r#"{"format":1,"bytes":{"name":"frames"}}"#);
    assert_eq!(Schema::from_json(&bytes.to_json()).unwrap(), bytes);
    let with_more = packed.replace("\"size\":16", "\"size\":16,\"note\":\"skipped\"");
    assert_eq!(Schema::from_json(&with_more).unwrap(), Trade::schema());
}

/// The bytes that are hashed, as the picture in `hash.rs` says; a change of them is a new format.
#[test]
fn the_hash_is_taken_over_the_documented_bytes() {
    let word = |value: u64| value.to_le_bytes().to_vec();
    let name =
        |text: &str| [(text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat();
    #[rustfmt::skip]
    let expected = [
        vec![1, 0, 0, 0, 1], word(16), word(8), vec![3, 0, 0, 0],
        name("price"), word(0), word(8), vec![10],
        name("venue"), word(8), word(4), vec![32], word(4), vec![1],
        name("at"), word(12), word(4), vec![33], word(4), word(1), vec![2, 0, 0, 0],
        name("row"), word(0), word(2), vec![2],
        name("column"), word(2), word(2), vec![2],
    ];
    assert_eq!(Trade::schema().canonical_bytes(), expected.concat());
    // As another implementation of XXH3 computes it.
    assert_eq!(Trade::schema().hash(), 0x3519_3cf9_edc6_4dbe);
    let bytes = Schema::bytes("frames").unwrap();
    assert_eq!(bytes.canonical_bytes(), [1, 0, 0, 0, 0]);
    assert_eq!(bytes.hash(), 0xd1dd_927e_d529_f768);
}

#[test]
fn every_scalar_has_a_hash_of_its_own() {
    let one = |scalar| structure("a", vec![("a".to_owned(), Type::Scalar(scalar))]);
    let hashes = Scalar::ALL.map(|scalar| Schema::new(one(scalar)).hash());
    let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), Scalar::ALL.len());
}

#[test]
fn the_name_of_a_struct_is_not_in_the_hash() {
    let renamed = TRADE_JSON.replace("Trade", "deal").replace("Spot", "place");
    let renamed = Schema::from_json(&renamed).unwrap();
    assert_eq!(renamed.hash(), Trade::schema().hash());
    assert_eq!(renamed.differences(&Trade::schema()), [""; 0]);
    assert_eq!(renamed.name(), "deal");
}

#[test]
fn differences_are_told_in_words() {
    let here = Trade::schema();
    let moved = TRADE_JSON
        .replace(r#"{"name":"venue","offset":8"#, r#"{"name":"place","offset":8"#)
        .replace(r#"{"name":"column","offset":2,"size":2,"type":"u16"}"#, "")
        .replace(r#""type":"u16"},"#, r#""type":"u16"}"#)
        .replace(r#""at","offset":12,"size":4"#, r#""at","offset":12,"size":2"#)
        .replace(r#""name":"Spot","size":4"#, r#""name":"Spot","size":2"#)
        .replace(r#""size":16,"alignment":8"#, r#""size":14,"alignment":2"#)
        .replace("f64", "i64");
    let there = Schema::from_json(&moved).unwrap();
    let expected = [
        "size 16 here, 14 there",
        "alignment 8 here, 2 there",
        "field `price`: type f64 here, i64 there",
        "field `venue` is missing there",
        "field `at`: size 4 here, 2 there",
        "field `at.column` is missing there",
        "field `place` is missing here",
    ];
    assert_eq!(here.differences(&there), expected);

    let pair = |first: &str, second: &str| {
        let scalar = || Type::Scalar(Scalar::U32);
        let array = Type::Array {
            of: Box::new(Type::Struct(structure(
                "inner",
                vec![(first.to_owned(), scalar()), (second.to_owned(), scalar())],
            ))),
            length: 2,
        };
        Schema::new(structure("outer", vec![("list".to_owned(), array)]))
    };
    let reordered = pair("a", "b").differences(&pair("b", "a"));
    let expected =
        ["field `list[].a`: offset 0 here, 4 there", "field `list[].b`: offset 4 here, 0 there"];
    assert_eq!(reordered, expected);

    let bytes = Schema::bytes("frames").unwrap();
    assert_eq!(here.differences(&bytes), ["a struct of 16 bytes here, raw bytes there"]);
    assert_eq!(bytes.differences(&here), ["raw bytes here, a struct of 16 bytes there"]);
    assert_eq!(bytes.differences(&Schema::bytes("other").unwrap()), [""; 0]);
}

#[test]
fn what_is_no_schema_is_refused() {
    let code = |text: &str| Schema::from_json(text).unwrap_err().code();
    for text in ["", "[]", "{}", r#"{"format":1}"#, r#"{"format":"1"}"#] {
        assert_eq!(code(text), "CL-0434", "{text}");
    }
    let both = r#"{"format":1,"bytes":{"name":"a"},"struct":{"name":"a","size":1,"alignment":1,
        "fields":[{"name":"a","offset":0,"size":1,"type":"u8"}]}}"#;
    assert_eq!(code(both), "CL-0434");
    assert_eq!(code(r#"{"format":2,"map":{}}"#), "CL-0432");
    assert_eq!(code(&TRADE_JSON.replace("\"f64\"", "\"f16\"")), "CL-0434");
    assert_eq!(code(&TRADE_JSON.replace("\"f64\"", "\"f32\"")), "CL-0433");
    assert_eq!(code(&TRADE_JSON.replace("\"offset\":12", "\"offset\":8")), "CL-0433");
    let other: Result<Schema, _> = serde_json::from_str(r#"{"format":2,"bytes":{"name":"a"}}"#);
    assert!(other.unwrap_err().to_string().contains("format=2"));
    let deep = format!("{}{}", r#"{"format":1,"struct":"#.repeat(200), "}".repeat(200));
    assert_eq!(code(&deep), "CL-0434");
}

#[test]
fn a_message_is_told_as_text_and_as_json() {
    let schema = Sample::schema();
    let decoded = schema.decode(bytes_of(&SAMPLE)).unwrap();
    let text = "wide=18446744073709551615 small=-9223372036854775808 price=10.5 points[0].x=1.0 \
        points[0].y=-2.5 points[1].x=0.1 points[1].y=NaN center.x=inf center.y=-0.0 id=7 \
        level=-7 grid=[[1,2],[3,4],[5,65535]] port=8080 shift=-300 tag=[97,98,99,100,101,102] \
        type=255 sign=-128";
    assert_eq!(decoded.to_string(), text);
    let json = r#"{"wide":18446744073709551615,"small":-9223372036854775808,"price":10.5,
        "points":[{"x":1.0,"y":-2.5},{"x":0.1,"y":"NaN"}],"center":{"x":"inf","y":-0.0},
        "id":7,"level":-7,"grid":[[1,2],[3,4],[5,65535]],"port":8080,"shift":-300,
        "tag":[97,98,99,100,101,102],"type":255,"sign":-128}"#;
    assert_eq!(decoded.to_json(), json.lines().map(str::trim_start).collect::<String>());

    for (price, told) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf")] {
        let sample = Sample { price, ..SAMPLE };
        let json = schema.decode(bytes_of(&sample)).unwrap().to_json();
        assert!(json.contains(&format!("\"price\":\"{told}\",")), "{json}");
    }

    let bytes = Schema::bytes("frames").unwrap();
    let decoded = bytes.decode(&[0, 0xab, 0xff]).unwrap();
    assert_eq!(decoded.to_string(), "bytes=00abff");
    assert_eq!(decoded.to_json(), r#"{"bytes":"00abff"}"#);
    assert_eq!(bytes.decode(&[]).unwrap().to_string(), "bytes=");
}

#[test]
fn a_message_of_another_length_is_refused() {
    for found in [0, 79, 81] {
        let error = Sample::schema().decode(&vec![0; found]).unwrap_err();
        let name = "all kinds".to_owned();
        assert_eq!(error, DecodeError::Length { name, expected: 80, found });
        assert_eq!(error.code(), "CL-0431");
    }
}
