/// The list of tensors in a GGUF header, while it is read and checked.
struct GGUFTensorTable {
  private struct Entry {
    var name: String
    var type: GGUFTensorType
    var shape: [Int]
    var byteCount: Int
    /// From the start of the data section.
    var offset: UInt64
  }

  /// ggml tensors have at most four dimensions.
  private static let dimensionLimit = 4

  let path: String
  let alignment: Int
  private(set) var indexByName: [String: Int] = [:]
  private var entries: [Entry] = []

  init(path: String, alignment: Int) {
    self.path = path
    self.alignment = alignment
  }

  mutating func readEntry(_ index: Int, from cursor: inout GGUFCursor) throws {
    let name = try cursor.string("the name of tensor \(index)")
    let what = "the entry of tensor \"\(name)\""
    guard indexByName.updateValue(index, forKey: name) == nil else {
      throw GGUFError.duplicateTensor(path: path, tensor: name)
    }
    let dimensionCount = try cursor.integer(as: UInt32.self, what)
    guard dimensionCount <= Self.dimensionLimit else {
      throw GGUFError.invalidTensorShape(
        path: path, tensor: name,
        problem: "has \(dimensionCount) dimensions; at most \(Self.dimensionLimit) are allowed")
    }
    var dimensions: [UInt64] = []
    for _ in 0..<dimensionCount { dimensions.append(try cursor.integer(what)) }
    let rawType = try cursor.integer(as: UInt32.self, what)
    guard let type = GGUFTensorType(rawValue: rawType) else {
      throw GGUFError.unknownTensorType(path: path, tensor: name, rawType: rawType)
    }
    let (shape, byteCount) = try layout(name: name, dimensions: dimensions, type: type)
    let offset = try cursor.integer(as: UInt64.self, what)
    guard offset % UInt64(alignment) == 0 else {
      throw GGUFError.misalignedTensor(path: path, tensor: name, offset: offset, alignment: alignment)
    }
    entries.append(Entry(name: name, type: type, shape: shape, byteCount: byteCount, offset: offset))
  }

  private func layout(
    name: String, dimensions: [UInt64], type: GGUFTensorType
  ) throws -> (shape: [Int], byteCount: Int) {
    let tooLarge = GGUFError.invalidTensorShape(
      path: path, tensor: name, problem: "has dimensions \(dimensions): too large")
    var shape: [Int] = []
    var elementCount = 1
    for dimension in dimensions.reversed() {
      guard let size = Int(exactly: dimension) else { throw tooLarge }
      guard size > 0 else {
        throw GGUFError.invalidTensorShape(
          path: path, tensor: name, problem: "has dimensions \(dimensions): one is zero")
      }
      let (product, overflow) = elementCount.multipliedReportingOverflow(by: size)
      guard !overflow else { throw tooLarge }
      elementCount = product
      shape.append(size)
    }
    let block = type.blockElementCount
    guard (shape.last ?? 1) % block == 0 else {
      throw GGUFError.invalidTensorShape(
        path: path, tensor: name,
        problem: "has rows of \(shape.last ?? 1) elements, not a multiple of the \(block) in a block of \(type.name)")
    }
    let (byteCount, overflow) = (elementCount / block).multipliedReportingOverflow(by: type.blockByteCount)
    guard !overflow else { throw tooLarge }
    return (shape, byteCount)
  }

  /// The tensors with their place in the file, once the header has ended at `dataStart`.
  func located(dataStart: Int, fileSize: Int) throws -> [GGUFTensorInfo] {
    // Both are at most the file's size plus an alignment of 2^20, far from overflow.
    let start = (dataStart + alignment - 1) / alignment * alignment
    let available = max(0, fileSize - start)
    let tensors = try entries.map { entry in
      guard let offset = Int(exactly: entry.offset), entry.byteCount <= available, offset <= available - entry.byteCount
      else {
        throw GGUFError.tensorOutOfBounds(
          path: path, tensor: entry.name, offset: entry.offset, byteCount: entry.byteCount, available: available)
      }
      return GGUFTensorInfo(
        name: entry.name, type: entry.type, shape: entry.shape, offset: start + offset, byteCount: entry.byteCount)
    }
    let ordered = tensors.sorted { $0.offset < $1.offset }
    for (first, second) in zip(ordered, ordered.dropFirst()) where first.offset + first.byteCount > second.offset {
      throw GGUFError.overlappingTensors(path: path, first: first.name, second: second.name)
    }
    return tensors
  }
}
