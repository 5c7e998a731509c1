/// A SQL statement in the form in which exact match compares it.
public enum SQLNormalForm {
  /// Outside of literals, each run of white space becomes one space, and ASCII letters are lower-cased; white space and
  /// semicolons at the ends are dropped. Literals stand between single or double quotes or backquotes and stay as they
  /// are, quotes included; a doubled quote in one stays in it, and one that does not end goes on to the end.
  public static func of(_ statement: String) -> String {
    var result: [UInt8] = []
    var quote: UInt8?
    var literalEnd = 0
    for byte in statement.utf8 {
      if let open = quote {
        result.append(byte)
        if byte == open { quote = nil }
        literalEnd = result.count
        continue
      }
      switch byte {
      case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
        quote = byte
        result.append(byte)
        literalEnd = result.count
      case 0x20, 0x09...0x0D:
        if let last = result.last, last != 0x20 || literalEnd == result.count { result.append(0x20) }
      default: result.append(lowercased(byte))
      }
    }
    while result.count > literalEnd, let last = result.last, last == 0x20 || last == UInt8(ascii: ";") {
      result.removeLast()
    }
    return String(decoding: result, as: UTF8.self)
  }
}
