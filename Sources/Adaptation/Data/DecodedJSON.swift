import Foundation
import Primitives

/// A row's JSON as Foundation's decoder reads it, strings first, because rows are made of them.
///
/// Not ``JSONParser``'s: the decoder lets a comma stand before a closing bracket and a byte order mark before a row,
/// and of a repeated key it takes the first. Members have no order, and all numbers are doubles.
struct DecodedJSON: Decodable {
  let value: JSONValue

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let string = try? container.decode(String.self) {
      value = .string(string)
    } else if container.decodeNil() {
      value = .null
    } else if let object = try? container.decode([String: DecodedJSON].self) {
      value = .object(object.map { ($0.key, $0.value.value) })
    } else if let array = try? container.decode([DecodedJSON].self) {
      value = .array(array.map(\.value))
    } else if let boolean = try? container.decode(Bool.self) {
      value = .bool(boolean)
    } else {
      value = .number(try container.decode(Double.self))
    }
  }
}
