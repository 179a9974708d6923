// JSON values for notification data and message payloads, from Swift literals or an encoder's text.
//
// A value stores its JSON text. Only the checks of every publisher's body parse it again.

internal import Wire

/// A JSON value.
///
/// Use literals for constants, `["symbol": "AAPL", "pnl": 125.5]`, and the factories for values
/// computed at run time: `["symbol": .string(symbol), "pnl": .number(profit)]`.
public struct JSONValue: Sendable, Equatable, CustomStringConvertible {
  /// The JSON text, as a decoder takes it.
  public var description: String { String(decoding: text, as: UTF8.self) }

  /// Exactly one JSON value, without surrounding white space.
  let text: [UInt8]

  private init(text: [UInt8]) { self.text = text }

  /// The value of text that the store has, which was checked before it was stored.
  init(stored text: [UInt8]) { self.text = text }

  /// The value in `text`, for example the output of a JSON encoder; its spelling is kept.
  ///
  /// - Parameter text: One JSON value, with or without white space around it.
  /// - Throws: `BusError.invalid` when it is not JSON, or is nested deeper than 32.
  public init(parsing text: String) throws(BusError) {
    let bytes = Array(text.utf8)
    var reader = JSONReader(bytes)
    do throws(JSONViolation) {
      let range = try reader.skipValue()
      try reader.finish()
      self.init(text: Array(bytes[range]))
    } catch {
      throw .invalid(field: "json", reason: error.located(in: bytes))
    }
  }

  /// A string.
  public static func string(_ value: String) -> JSONValue {
    var text: [UInt8] = []
    text.appendJSONString(value)
    return JSONValue(text: text)
  }

  /// A whole number.
  public static func number(_ value: Int) -> JSONValue { JSONValue(text: Array("\(value)".utf8)) }

  /// A number; `null` for an infinity or NaN, which JSON cannot represent.
  public static func number(_ value: Double) -> JSONValue {
    value.isFinite ? JSONValue(text: Array("\(value)".utf8)) : .null
  }

  /// True or false.
  public static func bool(_ value: Bool) -> JSONValue {
    JSONValue(text: Array(value ? "true".utf8 : "false".utf8))
  }

  /// The value `null`.
  public static let null = JSONValue(text: Array("null".utf8))

  /// An array.
  public static func array(_ elements: [JSONValue]) -> JSONValue {
    var text: [UInt8] = []
    text.array(of: elements) { $0 += $1.text }
    return JSONValue(text: text)
  }

  /// An object with its members in the given order.
  public static func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
    object(members.map { ($0.key, $0.value) })
  }

  fileprivate static func object(_ members: [(String, JSONValue)]) -> JSONValue {
    var text: [UInt8] = []
    text.openObject()
    for (name, value) in members {
      text.memberName(escaping: name)
      text += value.text
    }
    text.closeObject()
    return JSONValue(text: text)
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// A whole number.
  public init(integerLiteral value: Int) { self = .number(value) }
  /// A number.
  public init(floatLiteral value: Double) { self = .number(value) }
  /// True or false.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// The value `null`.
  public init(nilLiteral: ()) { self = .null }
  /// An array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object with its members in the given order.
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(elements) }
}
