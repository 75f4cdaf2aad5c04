//! Filters: what they say, what they refuse and where, and that their text is read again.

use proptest::prelude::*;

use super::super::decode::Value;
use super::super::tests::{SAMPLE, Sample, any_message};
use super::super::{Message, Schema, bytes_of};
use super::*;

fn holds(text: &str) -> bool {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let bound = filter.bind(&Sample::schema()).unwrap_or_else(|error| panic!("{text}: {error}"));
    bound.matches(bytes_of(&SAMPLE)).expect("the sample has the right length")
}

#[test]
fn values_are_compared_as_numbers() {
    #[rustfmt::skip]
    let hold = [
        "price > 10", "price >= 10.5", "price == 10.5", "price != 10.500001", "price < 1.06e1",
        "wide == 18446744073709551615", "wide == 0xffffffffffffffff", "wide < 1e300",
        "wide < 18446744073709551616.0", "small == -9223372036854775808", "small > -1e300",
        "small > -9223372036854777856.0", "id == 7", "id == 0x7", "id == 7.0", "id < 7.5",
        "id > 6.5", "id != 7.5", "id <= 7", "id >= 7", "level == -7", "level == -0x7",
        "level < -6.5", "level > -7.5", "level >= -7", "shift == -300", "sign == -128",
        "type == 255", "port==8080", "points[0].x == 1", "points[1].x == 0.1",
        "points[1].y != 0", "!(points[1].y == 0)", "!(points[1].y < 0)", "center.x > 1e300",
        "center.x > 3.4e38",
        "points[0].x < 1e39", "points[0].y > -1e39",
        "center.y == 0", "grid[2][1] == 65535", "tag[1] == 98", " grid [ 2 ] [ 0 ] == 5 ",
        "points [0] . y < -2.4999",
    ];
    for text in hold {
        assert!(holds(text), "{text}");
        assert!(!holds(&format!("!({text})")), "{text}");
        assert!(holds(&format!("!!({text})")), "{text}");
    }
}

#[test]
fn and_binds_stronger_than_or() {
    assert!(holds("id == 7 || id == 8 && id == 9"));
    assert!(!holds("(id == 7 || id == 8) && id == 9"));
    assert!(holds("id == 9 && id == 8 || id == 7"));
    assert!(holds("id == 7 && !(level == 7) && price > 1"));
    assert!(!holds("!(id == 7) || price > 11 || wide == 0"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let number = "a number";
    let operator = "`==`, `!=`, `<`, `<=`, `>` or `>=`";
    let name = "the name of a field";
    let end = "`&&`, `||` or the end";
    #[rustfmt::skip]
    let cases = [
        ("", 1, name, "the end"),
        ("  ", 3, name, "the end"),
        ("7 == id", 1, name, "`7`"),
        ("id", 3, operator, "the end"),
        ("id = 7", 4, operator, "`=`"),
        ("id == ", 7, number, "the end"),
        ("id == level", 7, number, "`level`"),
        ("id == 7x", 7, number, "`7x`"),
        ("id == 1.", 7, number, "`1.`"),
        ("id == 1e", 7, number, "`1e`"),
        ("id == 0x", 7, number, "`0x`"),
        ("id == nan", 7, number, "`nan`"),
        ("id == 7 &", 9, end, "`&`"),
        ("id == 7 && ", 12, name, "the end"),
        ("id == 7 )", 9, end, "`)`"),
        ("(id == 7", 9, "`&&`, `||` or `)`", "the end"),
        ("(id == 7 level", 10, "`&&`, `||` or `)`", "`level`"),
        ("ä == 7", 1, name, "`ä`"),
        ("id == 7 && ä", 12, name, "`ä`"),
        ("tag[x] == 1", 5, "the number of an element", "`x`"),
        ("tag[1 == 1", 7, "`]`", "`==`"),
        ("tag. == 1", 6, name, "`==`"),
        ("id == 7 || || id == 8", 12, name, "`|`"),
    ];
    for (text, place, expected, found) in cases {
        let error = Filter::parse(text).unwrap_err();
        let found = found.to_owned();
        assert_eq!(error, FilterError::Syntax { place, expected, found }, "{text}");
        assert_eq!(error.code(), "CL-0435");
    }
}

#[test]
fn numbers_beyond_64_bits_are_refused() {
    for number in ["18446744073709551616", "-9223372036854775809", "1e999", "-1e999"] {
        let error = Filter::parse(&format!("id == {number}")).unwrap_err();
        assert_eq!(error, FilterError::Number { place: 7, text: number.to_owned() });
        assert_eq!(error.code(), "CL-0436");
    }
    let digits = "9".repeat(60);
    assert_eq!(Filter::parse(&format!("id == {digits}")).unwrap_err().code(), "CL-0436");
    assert_eq!(Filter::parse(&format!("id == 0x{digits}")).unwrap_err().code(), "CL-0436");
    let error = Filter::parse(&format!("tag[{digits}] == 1")).unwrap_err();
    assert_eq!(error, FilterError::Number { place: 5, text: digits });
}

#[test]
fn fields_that_are_not_there_are_refused() {
    let refused =
        |text: &str, schema: &Schema| Filter::parse(text).unwrap().bind(schema).unwrap_err();
    let error = refused("id == 7 && center.z == 1", &Sample::schema());
    let known = "`x`, `y`".to_owned();
    let expected = FilterError::UnknownField { place: 12, path: "center.z".to_owned(), known };
    assert_eq!((error.code(), error), ("CL-0437", expected));
    let bytes = Schema::bytes("frames").unwrap();
    let text = refused("id == 7", &bytes).to_string();
    assert_eq!(text, "no field `id` at place=1: there are none in raw bytes");

    #[rustfmt::skip]
    let cases = [
        ("center == 1", "center", "it is a struct Point, name a field of it"),
        ("grid[0] == 1", "grid[0]", "it is an array ([u16; 2]), name an element as [0] of it"),
        ("grid[3][0] == 1", "grid[3]", "it has 3 elements, counted from 0"),
        ("id[0] == 1", "id[0]", "`id` is a number (u32), see what follows it"),
        ("id.x == 1", "id.x", "`id` is a number (u32), see what follows it"),
        ("center[0] == 1", "center[0]", "`center` is a struct Point, see what follows it"),
        ("grid.x == 1", "grid.x", "`grid` is an array ([[u16; 2]; 3]), see what follows it"),
    ];
    for (text, path, reason) in cases {
        let (path, reason) = (path.to_owned(), reason.to_owned());
        let error = refused(&format!("  {text}"), &Sample::schema());
        assert_eq!(error, FilterError::NotANumber { place: 3, path, reason });
        assert_eq!(error.code(), "CL-0438");
    }
}

#[test]
fn filters_are_bounded() {
    let long = format!("id == 7{}", " ".repeat(TEXT_BYTES_MAX));
    let error = Filter::parse(&long).unwrap_err();
    assert_eq!(error, FilterError::TooLarge { what: "bytes", limit: TEXT_BYTES_MAX });
    assert_eq!(error.code(), "CL-0439");
    for open in ["(", "!"] {
        let close = if open == "(" { ")" } else { "" };
        let deep = |levels| format!("{}id == 7{}", open.repeat(levels), close.repeat(levels));
        assert!(Filter::parse(&deep(DEPTH_MAX)).is_ok());
        let error = Filter::parse(&deep(DEPTH_MAX + 1)).unwrap_err();
        assert!(matches!(error, FilterError::TooLarge { limit: DEPTH_MAX, .. }), "{error}");
        assert_eq!(Filter::parse(&open.repeat(TEXT_BYTES_MAX)).unwrap_err().code(), "CL-0439");
    }
    // What is printed has a bracket more, which does not count.
    let deep = Filter::parse(&format!("{}id == 7", "!".repeat(DEPTH_MAX))).unwrap();
    assert_eq!(Filter::parse(&deep.to_string()), Ok(deep));
    // Brackets side by side are not deeper than one.
    let wide = vec!["(id == 7)"; 200].join(" || ");
    assert!(Filter::parse(&wide).is_ok());
}

#[test]
fn a_message_of_another_length_is_an_error_and_no_match() {
    let bound = Filter::parse("id == 7").unwrap().bind(&Sample::schema()).unwrap();
    assert_eq!(bound.matches(&[0; 79]).unwrap_err().code(), "CL-0431");
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<u64>().prop_map(|value| Literal::Integer(value.into())),
        any::<i64>().prop_map(|value| Literal::Integer(value.into())),
        prop::num::f64::NORMAL.prop_map(Literal::Float),
        prop::num::f64::SUBNORMAL.prop_map(Literal::Float),
        Just(Literal::Float(-0.0)),
    ]
}

fn any_expression() -> impl Strategy<Value = Expression> {
    let step = prop_oneof![
        "[a-z_][a-z0-9_]{0,4}".prop_map(Step::Field),
        (0usize..100).prop_map(Step::Index),
    ];
    let path = ("[a-z_]{1,5}", prop::collection::vec(step, 0..3)).prop_map(|(first, rest)| {
        std::iter::once(Step::Field(first)).chain(rest).collect::<Vec<_>>()
    });
    let operator = prop::sample::select(&Operator::ALL[..]);
    let comparison = (path, operator, any_literal()).prop_map(|(path, operator, literal)| {
        Expression::Comparison(Comparison { place: 0, path, operator, literal })
    });
    comparison.prop_recursive(6, 40, 4, |inner| {
        let many = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            many().prop_map(Expression::Any),
            many().prop_map(Expression::All),
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}

/// Every number of a message, with the path under which the text form and filters have it.
fn numbers(path: String, value: &Value<'_>, found: &mut Vec<(String, String)>) {
    match value {
        Value::Struct(fields) => {
            fields.iter().for_each(|(name, value)| numbers(format!("{path}.{name}"), value, found));
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                numbers(format!("{path}[{index}]"), value, found);
            }
        }
        Value::Unsigned(value) => found.push((path, value.to_string())),
        Value::Signed(value) => found.push((path, value.to_string())),
        Value::F32(value) => found.push((path, format!("{value:?}"))),
        Value::F64(value) => found.push((path, format!("{value:?}"))),
        Value::Bytes(_) => panic!("a struct has no raw bytes"),
    }
}

proptest! {
    #[test]
    fn a_filter_is_read_as_it_was_printed(expression in any_expression()) {
        let filter = Filter(expression);
        let text = filter.to_string();
        prop_assume!(text.len() <= TEXT_BYTES_MAX);
        prop_assert_eq!(Filter::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(filter));
    }

    #[test]
    fn no_text_stops_the_reader(text in "[a-z0-9 .<>=!&|()\\[\\]\\-äx]{0,60}|\\PC{0,30}") {
        match Filter::parse(&text) {
            Ok(filter) => prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter)),
            Err(FilterError::Syntax { place, .. } | FilterError::Number { place, .. }) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&place), "{}", place);
            }
            Err(error) => prop_assert_eq!(error.code(), "CL-0439"),
        }
    }

    #[test]
    fn a_message_matches_the_values_that_it_is_decoded_to((schema, bytes) in any_message()) {
        let decoded = schema.decode(&bytes).unwrap();
        let mut found = Vec::new();
        for (name, value) in decoded.fields() {
            numbers((*name).to_owned(), value, &mut found);
        }
        for (path, value) in found {
            let text = match value.as_str() {
                "NaN" => format!("{path} != 0 && !({path} < 0) && !({path} >= 0)"),
                "inf" => format!("{path} > 1e308"),
                "-inf" => format!("{path} < -1e308"),
                value => format!("{path} == {value} && {path} <= {value} && !({path} < {value})"),
            };
            let bound = Filter::parse(&text).unwrap().bind(&schema).unwrap();
            prop_assert_eq!(bound.matches(&bytes), Ok(true), "{}", text);
        }
    }
}
