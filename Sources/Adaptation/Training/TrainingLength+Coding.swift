/// Lengths in files read `steps: 100` or `epochs: 0.5`.
private enum LengthKey: String, CodingKey { case steps, epochs }

extension TrainingOptions.Length {
  public init(from decoder: any Decoder) throws {
    self = try decodeLength(decoder, steps: Self.steps, epochs: Self.epochs)
  }

  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .steps(let count): try encodeLength(encoder, .steps, count)
    case .epochs(let count): try encodeLength(encoder, .epochs, count)
    }
  }
}

extension Calibration {
  public init(from decoder: any Decoder) throws {
    self = try decodeLength(decoder, steps: Self.steps, epochs: Self.epochs)
  }

  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .steps(let count): try encodeLength(encoder, .steps, count)
    case .epochs(let count): try encodeLength(encoder, .epochs, count)
    }
  }
}

private func decodeLength<Length>(
  _ decoder: any Decoder, steps: (Int) -> Length, epochs: (Double) -> Length
) throws -> Length {
  let container = try decoder.container(keyedBy: LengthKey.self)
  guard container.allKeys.count == 1, let key = container.allKeys.first else {
    throw DecodingError.dataCorrupted(
      DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "give either steps or epochs"))
  }
  switch key {
  case .steps: return steps(try container.decode(Int.self, forKey: key))
  case .epochs: return epochs(try container.decode(Double.self, forKey: key))
  }
}

private func encodeLength(_ encoder: any Encoder, _ key: LengthKey, _ count: some Encodable) throws {
  var container = encoder.container(keyedBy: LengthKey.self)
  try container.encode(count, forKey: key)
}
