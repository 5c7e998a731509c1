/// Golomb-Rice code: a number `m` as its low `k` bits and, in unary, `m >> k`.
///
/// Whatever the numbers' distribution, a number costs at most `k + 1 + mean / 2^k` bits on average, and there is no table:
/// the code of choice for short streams.
///
/// Body: the byte `k`; all low bits, `k` a number; all unary parts, `m >> k` zeros and a one each. Both parts are packed least
/// significant first and filled with zeros to whole bytes.
enum RiceCode {
  static let maximumParameter = 30

  /// The best `k` and the body's size in bytes; nil when a symbol bears a mark.
  static func plan(_ symbols: UnsafeBufferPointer<UInt32>) -> (parameter: Int, byteCount: Int)? {
    var sum: UInt64 = 0
    var marks: UInt32 = 0
    for symbol in symbols {
      sum &+= UInt64(symbol)
      marks |= symbol
    }
    guard marks & SymbolTokens.mark == 0, !symbols.isEmpty else { return nil }
    let mean = sum / UInt64(symbols.count)
    let near = 63 - (mean | 1).leadingZeroBitCount
    return (max(0, near - 2)...min(maximumParameter, near + 1)).map { parameter in
      let unary = symbols.reduce(into: 0) { $0 &+= Int($1 &>> UInt32(parameter)) &+ 1 }
      return (parameter, 1 + bytes(symbols.count * parameter) + bytes(unary))
    }.min { $0.byteCount < $1.byteCount }
  }

  static func encode(_ symbols: UnsafeBufferPointer<UInt32>, parameter: Int) -> [UInt8] {
    var low = BitWriter()
    var unary = BitWriter()
    let mask = UInt32(1) &<< UInt32(parameter) &- 1
    for symbol in symbols {
      low.append(symbol & mask, width: parameter)
      let quotient = Int(symbol &>> UInt32(parameter))
      if quotient < 31 {
        unary.append(1 &<< UInt32(quotient), width: quotient + 1)
      } else {
        unary.appendZeros(quotient)
        unary.append(1, width: 1)
      }
    }
    low.finish()
    unary.finish()
    return [UInt8(parameter)] + low.bytes + unary.bytes
  }

  /// - Parameter body: readable for eight bytes beyond its end.
  static func decode(_ body: UnsafeRawBufferPointer, into symbols: UnsafeMutableBufferPointer<UInt32>) throws {
    guard let start = body.baseAddress, let first = body.first else { throw StreamProblem.tooShort }
    let parameter = Int(first)
    guard parameter <= maximumParameter else { throw StreamProblem.badTable }
    let unaryStart = 1 + bytes(symbols.count * parameter)
    guard unaryStart < body.count else { throw StreamProblem.tooShort }
    let unary = start + unaryStart
    let end = (body.count - unaryStart) * 8
    let mask = UInt32(1) &<< UInt32(parameter) &- 1
    var lowBit = 8
    var bit = 0
    var excess: UInt64 = 0
    for position in symbols.indices {
      var quotient: UInt64 = 0
      while true {
        let window = UInt64(littleEndian: unary.loadUnaligned(fromByteOffset: bit &>> 3, as: UInt64.self))
        let zeros = (window &>> UInt64(bit & 7)).trailingZeroBitCount
        if zeros < 56 {
          quotient &+= UInt64(zeros)
          bit &+= zeros &+ 1
          break
        }
        quotient &+= 56
        bit &+= 56
        guard bit < end else { throw StreamProblem.tooShort }
      }
      guard bit <= end else { throw StreamProblem.tooShort }
      let window = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: lowBit &>> 3, as: UInt64.self))
      let symbol =
        quotient &<< UInt64(parameter) | UInt64(UInt32(truncatingIfNeeded: window &>> UInt64(lowBit & 7)) & mask)
      lowBit &+= parameter
      excess |= symbol
      symbols[position] = UInt32(truncatingIfNeeded: symbol)
    }
    guard excess < UInt64(SymbolTokens.mark) else { throw StreamProblem.symbolOutOfRange }
    // Only zeros after the last one.
    guard end - bit < 8, bit & 7 == 0 || unary.load(fromByteOffset: bit >> 3, as: UInt8.self) >> UInt8(bit & 7) == 0
    else {
      throw StreamProblem.inconsistent
    }
  }

  private static func bytes(_ bits: Int) -> Int { (bits + 7) / 8 }
}
