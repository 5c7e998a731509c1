/// Amounts of memory as users write them: `8GB`, `6.5GiB`, `6000MB`.
public enum MemorySize {
  public static let expected = "a number with a unit, such as 8GB, 6.5GiB or 6000MB"

  /// Decimal units count in powers of 1000, binary ones (`KiB`, `MiB`, ...) in powers of 1024, in any case. The unit is
  /// required: a bare number would leave a guess.
  ///
  /// - Returns: bytes; nil unless the text is a positive decimal number and a unit, with at most a space between them.
  public static func bytes(_ text: String) -> Int? {
    let digits = text.prefix { $0 == "." || ("0"..."9").contains($0) }
    var unit = text.dropFirst(digits.count)
    if unit.first == " " { unit.removeFirst() }
    guard digits.first != ".", digits.last != ".", let value = Double(digits), let factor = factors[unit.uppercased()]
    else { return nil }
    let bytes = (value * factor).rounded()
    return bytes >= 1 && bytes < 0x1p62 ? Int(bytes) : nil
  }

  private static let factors: [String: Double] = [
    "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 0x1p10, "MIB": 0x1p20, "GIB": 0x1p30, "TIB": 0x1p40,
  ]
}
