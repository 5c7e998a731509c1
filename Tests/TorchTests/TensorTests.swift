import TestSupport
import Testing
import Torch

@Suite(.engine) struct TensorTests {
  @Test func createsAndReadsBack() throws {
    let matrix = try Tensor.from([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    #expect(matrix.shape == [2, 3] && matrix.dtype == .float32 && matrix.device == .cpu)
    #expect(matrix.rank == 2 && matrix.elementCount == 6 && matrix.byteCount == 24 && matrix.isContiguous)
    #expect(try matrix.values(as: Float.self) == [1, 2, 3, 4, 5, 6])
    #expect(try Tensor.full([3], 2.5, .float64).values(as: Double.self) == [2.5, 2.5, 2.5])
    #expect(try Tensor.zeros([2], .int32).values(as: Int32.self) == [0, 0])
    #expect(try Tensor.from([3, 1] as [UInt8]).values(as: UInt8.self) == [3, 1])
    #expect(try Tensor.from([-3, 1 << 40] as [Int64]).values(as: Int64.self) == [-3, 1 << 40])
  }

  @Test(arguments: DType.allCases) func everyTypeHoldsZeroAndOne(_ dtype: DType) throws {
    let tensor = try Tensor.full([2, 2], 1, dtype)
    #expect(tensor.dtype == dtype && tensor.byteCount == 4 * dtype.byteCount)
    #expect(try tensor.values(as: Double.self) == [1, 1, 1, 1])
    try tensor.fill(0)
    #expect(try tensor.values(as: Float.self) == [0, 0, 0, 0])
  }

  @Test func scalarsAndEmptyTensors() throws {
    #expect(try Tensor.full([], 7).values(as: Float.self) == [7])
    let empty = try Tensor.empty([0, 3])
    #expect(empty.elementCount == 0 && empty.byteCount == 0)
    #expect(try empty.values(as: Float.self) == [])
    #expect(try empty.sum() == 0)
  }

  @Test func viewsShareStorage() throws {
    let base = try Tensor.from((0..<12).map(Float.init), shape: [3, 4])
    let middle = try base.rows(1..<2)
    let column = try base.columns(2..<3)
    try middle.fill(-1)
    #expect(try base.values(as: Float.self) == [0, 1, 2, 3, -1, -1, -1, -1, 8, 9, 10, 11])
    #expect(try column.values(as: Float.self) == [2, -1, 10])
    #expect(middle.isContiguous && !column.isContiguous)
    #expect(try base.transposed(0, 1).values(as: Float.self) == [0, -1, 8, 1, -1, 9, 2, -1, 10, 3, -1, 11])
    #expect(try base.view([2, 6]).shape == [2, 6])
    #expect(try base.flattened().shape == [12])
    #expect(try base.narrow(1, 1..<1).shape == [3, 0])
  }

  @Test func viewsKeepTheirSourceAlive() throws {
    func view() throws -> Tensor { try Tensor.full([1000, 1000], 3).rows(10..<12) }
    #expect(try view().sum() == 6000)
  }

  @Test func conversionCopies() throws {
    let source = try Tensor.from([1, 2, 3] as [Float])
    let copy = try source.converted()
    try source.fill(0)
    #expect(try copy.values(as: Float.self) == [1, 2, 3])
    let strided = try Tensor.from((0..<6).map(Float.init), shape: [2, 3]).transposed(0, 1).converted()
    #expect(strided.isContiguous)
    #expect(try strided.values(as: Float.self) == [0, 3, 1, 4, 2, 5])
  }

  /// Round to nearest even: 8 bits of significand in bfloat16, 11 in float16.
  @Test func halfPrecisionRoundsToNearestEven() throws {
    let values: [Float] = [1, 1.00390625, 1.01171875, 65504, 65520, 1e-8, -0.0, .infinity]
    let source = try Tensor.from(values)
    #expect(
      try source.converted(to: .bfloat16).values(as: Float.self)
        == [1, 1, 1.015625, 65536, 65536, Float(bitPattern: 0x322C_0000), 0, .infinity])
    #expect(
      try source.converted(to: .float16).values(as: Float.self)
        == [1, 1.00390625, 1.01171875, 65504, .infinity, 0, 0, .infinity])
    #expect(try Tensor.from([Float.nan]).converted(to: .bfloat16).values(as: Float.self)[0].isNaN)
  }

  @Test func copyConvertsInPlace() throws {
    let target = try Tensor.zeros([2], .bfloat16)
    try target.copy(from: try Tensor.from([1.5, -2] as [Double]))
    #expect(try target.values(as: Float.self) == [1.5, -2])
  }

  @Test func devicesParse() {
    #expect(
      Device("cpu") == .cpu && Device("cuda") == Device(kind: .cuda)
        && Device("cuda:3") == Device(kind: .cuda, index: 3))
    for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "cuda:1:2"] {
      #expect(Device(text) == nil, "\(text)")
    }
    #expect(Device(kind: .cuda, index: 2).description == "cuda:2" && Device.cpu.description == "cpu")
    #expect(Device.cpu.isAvailable)
  }

  @Test func engineTellsWhatItIs() throws {
    #expect(!Engine.version.isEmpty && !Engine.cpuCapability.isEmpty)
    #expect(Engine.threadCount >= 1 && Engine.peakMemoryInBytes > 1 << 20)
    try Engine.synchronize(.cpu)
    Engine.trimMemory()
  }
}
