/// Typed access to metadata: a key that is missing or of the wrong kind becomes an error that names it.
extension GGUFFile {
  /// Sizes of models stay below this, so that products of two cannot overflow.
  private static let sizeLimit = 1 << 31

  func optionalString(_ key: String) throws -> String? {
    try optional(key, "must be a string") { $0.stringValue }
  }

  func string(_ key: String) throws -> String { try required(key, optionalString(key)) }

  func optionalBool(_ key: String) throws -> Bool? {
    try optional(key, "must be a boolean") { $0.boolValue }
  }

  /// A finite number.
  func optionalNumber(_ key: String) throws -> Double? {
    try optional(key, "must be a finite number") { value in value.doubleValue.flatMap { $0.isFinite ? $0 : nil } }
  }

  func number(_ key: String) throws -> Double { try required(key, optionalNumber(key)) }

  /// An integer from 1 to 2^31. An array counts when all its elements are equal: some files repeat a size per layer.
  func optionalSize(_ key: String) throws -> Int? {
    try optional(key, "must be one integer from 1 to \(Self.sizeLimit), the same for every layer") { value in
      let integers = value.integerValue.map { [$0] } ?? value.arrayValue?.integers ?? []
      guard let first = integers.first, integers.allSatisfy({ $0 == first }) else { return nil }
      return (1...Self.sizeLimit).contains(first) ? first : nil
    }
  }

  func size(_ key: String) throws -> Int { try required(key, optionalSize(key)) }

  func optionalStrings(_ key: String) throws -> [String]? {
    try optional(key, "must be an array of strings") { $0.arrayValue?.strings }
  }

  func strings(_ key: String) throws -> [String] { try required(key, optionalStrings(key)) }

  /// An array with one element per token.
  func optionalArray<Element>(
    _ key: String, count: Int, _ what: String, _ read: (GGUFArray) -> [Element]?
  ) throws -> [Element]? {
    let values = try optional(key, "must be an array of \(what)") { $0.arrayValue.flatMap(read) }
    guard let values else { return nil }
    guard values.count == count else {
      throw GGUFError.invalidValue(
        path: path, key: key, problem: "has \(values.count) elements for \(count) tokens")
    }
    return values
  }

  /// An index of a token.
  func optionalTokenID(_ key: String, tokenCount: Int) throws -> Int? {
    try optional(key, "must be the number of one of the \(tokenCount) tokens") { value in
      value.integerValue.flatMap { (0..<tokenCount).contains($0) ? $0 : nil }
    }
  }

  private func optional<Value>(
    _ key: String, _ problem: String, _ read: (GGUFValue) -> Value?
  ) throws -> Value? {
    guard let stored = metadata[key] else { return nil }
    guard let value = read(stored) else { throw GGUFError.invalidValue(path: path, key: key, problem: problem) }
    return value
  }

  private func required<Value>(_ key: String, _ value: Value?) throws -> Value {
    guard let value else { throw GGUFError.missingKey(path: path, key: key) }
    return value
  }
}
