public import Torch

/// Token sequences laid end to end, without padding: N tokens of B sequences.
public struct PackedSequences {
  /// int64 `[N]`, on the model's device.
  package let tokens: Tensor
  /// int64 `[N]`, counted from zero in each sequence.
  package let positions: Tensor
  /// `[B + 1]`: sequence b holds tokens `offsets[b]..<offsets[b + 1]`.
  package let offsets: [Int32]
  /// The same on a device other than the CPU, uploaded once for all layers: int32 `[B + 1]`.
  package let deviceOffsets: Tensor?
  package let longest: Int

  public var tokenCount: Int { Int(offsets.last ?? 0) }
  public var sequenceCount: Int { offsets.count - 1 }

  /// - Throws: ``DecoderError`` for an empty batch or sequence, or ids outside `0..<vocabularySize`.
  public init(_ sequences: [[Int]], vocabularySize: Int, device: Device = .cpu) throws {
    var offsets: [Int32] = [0]
    for sequence in sequences { offsets.append((offsets.last ?? 0) + Int32(clamping: sequence.count)) }
    try self.init(
      tokens: sequences.flatMap { $0.map(Int32.init(clamping:)) }, offsets: offsets, vocabularySize: vocabularySize,
      device: device)
  }

  /// - Parameters:
  ///   - tokens: `[N]`.
  ///   - offsets: `[B + 1]`, ascending from 0 to N.
  public init(tokens: [Int32], offsets: [Int32], vocabularySize: Int, device: Device = .cpu) throws {
    guard offsets.count > 1, offsets.first == 0, offsets.last == Int32(clamping: tokens.count) else {
      throw DecoderError.emptyBatch
    }
    var positions: [Int64] = []
    positions.reserveCapacity(tokens.count)
    var longest = 0
    for index in 1..<offsets.count {
      let length = Int(offsets[index]) - Int(offsets[index - 1])
      guard length > 0 else { throw DecoderError.emptySequence(index: index - 1) }
      positions.append(contentsOf: 0..<Int64(length))
      longest = max(longest, length)
    }
    for token in tokens where token < 0 || Int(token) >= vocabularySize {
      throw DecoderError.tokenOutsideVocabulary(token: Int(token), vocabularySize: vocabularySize)
    }
    self.tokens = try Tensor.from(tokens.map(Int64.init), on: device)
    self.positions = try Tensor.from(positions, on: device)
    self.offsets = offsets
    deviceOffsets = device == .cpu ? nil : try Tensor.from(offsets, on: device)
    self.longest = longest
  }
}

/// Which hidden states predict a label, and which label: L rows.
public struct Labels {
  /// int64 `[L]`: packed positions whose next token is a label, ascending and distinct.
  package let rows: Tensor
  /// int64 `[L]`: those next tokens.
  package let targets: Tensor

  public var count: Int { rows.shape[0] }

  public init(rows: [Int32], targets: [Int32], device: Device = .cpu) throws {
    guard rows.count == targets.count, !rows.isEmpty else { throw DecoderError.noLabels }
    self.rows = try Tensor.from(rows.map(Int64.init), on: device)
    self.targets = try Tensor.from(targets.map(Int64.init), on: device)
  }
}
