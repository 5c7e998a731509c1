/// A set of Unicode scalars, as a regular expression's character class gives it.
struct ScalarSet: Equatable {
  private(set) var ranges: [ClosedRange<UInt32>] = []
  private(set) var categories: CategoryMask = []
  private(set) var hasWhitespace = false
  private(set) var hasWord = false
  /// Negated classes within a class: `[\S\d]`.
  private(set) var nested: [ScalarSet] = []
  var isNegated = false
  /// Membership of the ASCII scalars, negation included.
  private var ascii: (UInt64, UInt64) = (0, 0)

  static func == (left: ScalarSet, right: ScalarSet) -> Bool {
    left.ranges == right.ranges && left.categories == right.categories && left.hasWhitespace == right.hasWhitespace
      && left.hasWord == right.hasWord && left.nested == right.nested && left.isNegated == right.isNegated
  }

  static let whitespace = ScalarSet { $0.hasWhitespace = true }
  static let word = ScalarSet { $0.hasWord = true }
  static let decimalDigit = ScalarSet { $0.categories = .decimalNumber }
  static let hexadecimalDigit = ScalarSet { $0.ranges = [0x30...0x39, 0x41...0x46, 0x61...0x66] }
  static let notNewline = ScalarSet {
    $0.ranges = [0x0A...0x0A]
    $0.isNegated = true
  }

  init() {}

  init(_ build: (inout ScalarSet) -> Void) {
    build(&self)
    seal()
  }

  init(categories: CategoryMask) {
    self.init { $0.categories = categories }
  }

  init(_ scalar: UInt32) {
    self.init { $0.ranges = [scalar...scalar] }
  }

  var negated: ScalarSet {
    var copy = self
    copy.isNegated.toggle()
    copy.seal()
    return copy
  }

  /// False when members are given by property, whose case variants this library does not know.
  var isExplicit: Bool { categories.isEmpty && !hasWhitespace && !hasWord && nested.isEmpty }

  mutating func insert(_ range: ClosedRange<UInt32>) { ranges.append(range) }

  mutating func formUnion(_ other: ScalarSet) {
    guard !other.isNegated else {
      nested.append(other)
      return
    }
    ranges += other.ranges
    categories.formUnion(other.categories)
    hasWhitespace = hasWhitespace || other.hasWhitespace
    hasWord = hasWord || other.hasWord
    nested += other.nested
  }

  /// Adds the case variants of every member; the set must be explicit.
  mutating func foldCase() {
    for range in ranges {
      for scalar in range { ranges += CaseFolding.variants(of: scalar).map { $0...$0 } }
    }
  }

  /// Fills the ASCII table; call it when the set is complete.
  mutating func seal() {
    ascii = (0, 0)
    for scalar in UInt32(0)..<64 where compute(scalar) { ascii.0 |= 1 << UInt64(scalar) }
    for scalar in UInt32(64)..<128 where compute(scalar) { ascii.1 |= 1 << UInt64(scalar - 64) }
  }

  @inline(__always)
  func contains(_ scalar: UInt32) -> Bool {
    if scalar < 64 { return ascii.0 >> UInt64(scalar) & 1 != 0 }
    if scalar < 128 { return ascii.1 >> UInt64(scalar - 64) & 1 != 0 }
    return compute(scalar)
  }

  private func compute(_ scalar: UInt32) -> Bool {
    let scalarClass = ScalarClass.of(scalar)
    let isMember =
      categories.rawValue >> UInt32(scalarClass.category) & 1 != 0
      || (hasWhitespace && scalarClass.isWhitespace)
      || (hasWord && scalarClass.isWord)
      || ranges.contains { $0.contains(scalar) }
      || nested.contains { $0.contains(scalar) }
    return isMember != isNegated
  }
}

enum CaseFolding {
  /// The other scalars that a case-insensitive match accepts for `value`.
  static func variants(of value: UInt32) -> [UInt32] {
    guard let scalar = Unicode.Scalar(value) else { return [] }
    var found: Set<UInt32> = []
    for mapping in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
      let scalars = mapping.unicodeScalars
      if scalars.count == 1, let mapped = scalars.first { found.insert(mapped.value) }
    }
    // The signs whose lowercase or uppercase form is ASCII or Latin-1.
    switch value {
    case 0x53, 0x73: found.insert(0x17F)
    case 0x17F: found.formUnion([0x53, 0x73])
    case 0x4B, 0x6B: found.insert(0x212A)
    case 0x212A: found.formUnion([0x4B, 0x6B])
    case 0xC5, 0xE5: found.insert(0x212B)
    case 0x212B: found.formUnion([0xC5, 0xE5])
    default: break
    }
    found.remove(value)
    return found.sorted()
  }
}
