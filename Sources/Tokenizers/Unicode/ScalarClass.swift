/// What regular expressions and pre-tokenizers ask about a scalar, in one byte: the general category in the low five
/// bits, and flags.
///
/// The categories are those of Unicode 16, which the reference's regular expressions use: scalars assigned later
/// count as unassigned, whatever the version of the standard library's tables.
struct ScalarClass: Equatable {
  let rawValue: UInt8

  static let whitespaceFlag: UInt8 = 0x20
  static let wordFlag: UInt8 = 0x40

  var category: UInt8 { rawValue & 0x1F }
  var isWhitespace: Bool { rawValue & Self.whitespaceFlag != 0 }
  /// `\w`: letters, marks, numbers, connector punctuation, and other alphabetic scalars.
  var isWord: Bool { rawValue & Self.wordFlag != 0 }

  @inline(__always)
  static func of(_ scalar: UInt32) -> ScalarClass {
    scalar < 0x10000 ? ScalarClass(rawValue: basicPlane[Int(scalar)]) : compute(scalar)
  }

  /// Of every scalar of the basic plane. Surrogates never occur.
  static let basicPlane: [UInt8] = (0..<0x10000).map { compute($0).rawValue }

  private static func compute(_ value: UInt32) -> ScalarClass {
    guard let scalar = Unicode.Scalar(value) else { return ScalarClass(rawValue: Category.surrogate.rawValue) }
    let properties = scalar.properties
    let category = Category.regularExpression(of: scalar)
    var raw = category.rawValue
    if properties.isWhitespace { raw |= whitespaceFlag }
    let mask = CategoryMask.letter.union(.mark).union(.number).union(.connectorPunctuation)
    if mask.contains(category) || (properties.isAlphabetic && category != .unassigned) { raw |= wordFlag }
    return ScalarClass(rawValue: raw)
  }
}

/// Unicode general categories.
enum Category: UInt8, CaseIterable {
  case uppercaseLetter, lowercaseLetter, titlecaseLetter, modifierLetter, otherLetter
  case nonspacingMark, spacingMark, enclosingMark
  case decimalNumber, letterNumber, otherNumber
  case connectorPunctuation, dashPunctuation, openPunctuation, closePunctuation
  case initialPunctuation, finalPunctuation, otherPunctuation
  case mathSymbol, currencySymbol, modifierSymbol, otherSymbol
  case spaceSeparator, lineSeparator, paragraphSeparator
  case control, format, surrogate, privateUse, unassigned

  /// In the order of the cases.
  static let abbreviations = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  static func regularExpression(of scalar: Unicode.Scalar) -> Category {
    // Unicode 17 made this letter lowercase.
    if scalar.value == 0x295 { return .lowercaseLetter }
    if let age = scalar.properties.age, age.major > 16 { return .unassigned }
    return Category(scalar.properties.generalCategory)
  }

  init(_ category: Unicode.GeneralCategory) {
    self =
      switch category {
      case .uppercaseLetter: .uppercaseLetter
      case .lowercaseLetter: .lowercaseLetter
      case .titlecaseLetter: .titlecaseLetter
      case .modifierLetter: .modifierLetter
      case .otherLetter: .otherLetter
      case .nonspacingMark: .nonspacingMark
      case .spacingMark: .spacingMark
      case .enclosingMark: .enclosingMark
      case .decimalNumber: .decimalNumber
      case .letterNumber: .letterNumber
      case .otherNumber: .otherNumber
      case .connectorPunctuation: .connectorPunctuation
      case .dashPunctuation: .dashPunctuation
      case .openPunctuation: .openPunctuation
      case .closePunctuation: .closePunctuation
      case .initialPunctuation: .initialPunctuation
      case .finalPunctuation: .finalPunctuation
      case .otherPunctuation: .otherPunctuation
      case .mathSymbol: .mathSymbol
      case .currencySymbol: .currencySymbol
      case .modifierSymbol: .modifierSymbol
      case .otherSymbol: .otherSymbol
      case .spaceSeparator: .spaceSeparator
      case .lineSeparator: .lineSeparator
      case .paragraphSeparator: .paragraphSeparator
      case .control: .control
      case .format: .format
      case .surrogate: .surrogate
      case .privateUse: .privateUse
      case .unassigned: .unassigned
      @unknown default: .unassigned
      }
  }
}

/// A set of general categories.
struct CategoryMask: OptionSet, Equatable {
  let rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }
  init(_ categories: ClosedRange<UInt8>) {
    self.init(rawValue: categories.reduce(0) { $0 | 1 << UInt32($1) })
  }

  static let letter = CategoryMask(0...4)
  static let mark = CategoryMask(5...7)
  static let number = CategoryMask(8...10)
  static let decimalNumber = CategoryMask(8...8)
  static let connectorPunctuation = CategoryMask(11...11)
  static let punctuation = CategoryMask(11...17)
  static let symbol = CategoryMask(18...21)
  static let separator = CategoryMask(22...24)
  static let other = CategoryMask(25...29)

  func contains(_ category: Category) -> Bool { rawValue >> UInt32(category.rawValue) & 1 != 0 }

  /// By the name a regular expression uses: `L`, `Lu`, `Letter`.
  init?(name: String) {
    switch name {
    case "L", "Letter": self = .letter
    case "M", "Mark": self = .mark
    case "N", "Number": self = .number
    case "P", "Punctuation", "Punct": self = .punctuation
    case "S", "Symbol": self = .symbol
    case "Z", "Separator": self = .separator
    case "C", "Other": self = .other
    default:
      guard let index = Category.abbreviations.firstIndex(of: name) else { return nil }
      self.init(rawValue: 1 << UInt32(index))
    }
  }
}
