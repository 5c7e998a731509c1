import TestSupport
import Testing
import Torch

/// Every failure is a typed error whose text carries the shapes.
@Suite(.engine) struct TorchErrorTests {
  private func thrown(by body: () throws -> Void) -> TorchError? {
    do {
      try body()
      return nil
    } catch {
      return error as? TorchError
    }
  }

  private func expectInvalid(
    _ shapes: [[Int]], sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) {
    guard case .invalidArgument(let message, let found)? = thrown(by: body) else {
      Issue.record("no invalidArgument was thrown", sourceLocation: sourceLocation)
      return
    }
    #expect(found == shapes, sourceLocation: sourceLocation)
    #expect(!message.isEmpty && !message.contains("\n"), sourceLocation: sourceLocation)
  }

  @Test func productsOfWrongShape() throws {
    let a = try Tensor.zeros([2, 3])
    let b = try Tensor.zeros([4, 5])
    let out = try Tensor.zeros([2, 5])
    let error = thrown { try out.setProduct(a, b) }
    #expect(
      error
        == .invalidArgument(message: "matrix product: the shapes do not fit", shapes: [[2, 3], [4, 5], [2, 5]]))
    #expect(error?.description == "matrix product: the shapes do not fit (shapes [2, 3], [4, 5], [2, 5])")
    let vector = try Tensor.zeros([3])
    expectInvalid([[2, 3], [3], [2, 5]]) { try out.setProduct(a, vector) }
    let half = try Tensor.zeros([3, 5], .bfloat16)
    expectInvalid([[2, 3], [3, 5], [2, 5]]) { try out.setProduct(a, half) }
  }

  @Test func viewsOutOfRange() throws {
    let matrix = try Tensor.zeros([2, 3])
    expectInvalid([[2, 3]]) { _ = try matrix.rows(1..<3) }
    expectInvalid([[2, 3]]) { _ = try matrix.narrow(2, 0..<1) }
    expectInvalid([[2, 3]]) { _ = try matrix.narrow(.max, 0..<1) }
    expectInvalid([[2, 3]]) { _ = try matrix.view([7]) }
    expectInvalid([[3, 2]]) { _ = try matrix.transposed(0, 1).view([6]) }
    expectInvalid([[2, 3]]) { _ = try matrix.transposed(0, 2) }
  }

  @Test func bytesOfStridedViews() throws {
    let column = try Tensor.zeros([2, 3]).columns(0..<1)
    expectInvalid([[2, 1]]) { try column.withBytes { _ in } }
    let vector = try Tensor.zeros([2])
    expectInvalid([[2]]) { try [1, 2, 3].withUnsafeBytes { try vector.copyBytes(from: $0) } }
    expectInvalid([[2]]) { _ = try Tensor.from([1, 2, 3] as [Float], shape: [2]) }
  }

  @Test func copiesOfWrongShape() throws {
    let matrix = try Tensor.zeros([2, 3])
    let other = try Tensor.zeros([3])
    expectInvalid([[2, 3], [3]]) { try matrix.copy(from: other) }
    let wide = try Tensor.zeros([4])
    expectInvalid([[2, 3], [4]]) { try matrix.add(wide) }
  }

  @Test func indicesOfWrongTypeOrRange() throws {
    let source = try Tensor.zeros([4])
    let out = try Tensor.zeros([2])
    let floats = try Tensor.from([0, 1] as [Float])
    expectInvalid([[4], [2], [2]]) { try out.gather(from: source, at: floats) }
    let three = try Tensor.from([0, 1, 2] as [Int32])
    expectInvalid([[4], [3], [2]]) { try out.gather(from: source, at: three) }
    expectInvalid([[4], [3], [2]]) { try source.scatter(out, at: three) }
    for bad in [-1, 4] as [Int64] {
      let index = try Tensor.from([0, bad])
      let narrow = try Tensor.from([0, Int32(bad)])
      if bad > 0 { expectInvalid([[4], [2], [2]]) { try out.gather(from: source, at: index) } }
      expectInvalid([[4], [2], [2]]) { try out.gather(from: source, at: narrow) }
      expectInvalid([[4], [2], [2]]) { try source.scatter(out, at: narrow) }
    }
  }

  @Test func missingDevices() throws {
    let absent = Device(kind: .cuda, index: 99)
    #expect(!absent.isAvailable)
    #expect(thrown { _ = try Tensor.empty([1], on: absent) } == .noSuchDevice(absent))
    #expect(thrown { _ = try Tensor.full([1], 0, on: absent) } == .noSuchDevice(absent))
    #expect(thrown { _ = try Tensor.zeros([1]).converted(on: absent) } == .noSuchDevice(absent))
    #expect(thrown { _ = try Tensor.from([1] as [Float], on: absent) } == .noSuchDevice(absent))
    #expect(TorchError.noSuchDevice(absent).description.contains("cuda:99"))
  }

  @Test func tooMuchMemory() throws {
    guard case .outOfMemory(let message, _)? = thrown(by: { _ = try Tensor.empty([1 << 50]) }) else {
      Issue.record("no outOfMemory was thrown")
      return
    }
    #expect(message.hasPrefix("empty:"))
    #expect(thrown { _ = try Tensor.empty([1 << 40, 1 << 40]) } != nil)
    #expect(thrown { _ = try Tensor.empty([-1]) } != nil)
  }

  @Test func threadCounts() {
    #expect(thrown { try Engine.setThreadCount(0) } != nil)
    #expect(Engine.threadCount >= 1)
  }
}
