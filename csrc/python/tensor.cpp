#include "tensor.hpp"

#include <pybind11/numpy.h>

#include <string>

#include "dlpack.hpp"

namespace inntd::python {
namespace {

namespace py = pybind11;

std::string name_of(ScalarType type) {
  return (type.kind == 'f'   ? "float"
          : type.kind == 'i' ? "int"
          : type.kind == 'u' ? "uint"
                             : "type ") +
         std::to_string(type.bits);
}

std::string name_of(dlpack::DataType type) {
  const std::string bits = std::to_string(int{type.bits});
  switch (type.code) {
    case dlpack::kInt:
      return "int" + bits;
    case dlpack::kUint:
      return "uint" + bits;
    case dlpack::kFloat:
      return "float" + bits;
    case dlpack::kBfloat:
      return "bfloat" + bits;
    case dlpack::kComplex:
      return "complex" + bits;
    case dlpack::kBool:
      return "bool";
    default:
      return "DLPack type " + std::to_string(int{type.code}) + " of " + bits + " bits";
  }
}

template <class Integer>
std::string tuple_of(const Integer* values, int count) {
  std::string text = "(";
  for (int i = 0; i < count; ++i) text += std::to_string(values[i]) + (count == 1 || i + 1 < count ? ", " : "");
  if (count == 1) text.pop_back();
  return text + ")";
}

[[noreturn]] void refuse_dtype(ScalarType wanted, const std::string& given) {
  const bool real = wanted.kind == 'f';
  throw py::type_error(
      "expected a tensor of " + name_of(wanted) + ", got " + given +
      (real ? ": all tensors of one call share one dtype, float32 or float64; convert with .to(dtype) "
              "(torch) or .astype(dtype) (NumPy)"
            : ": convert with .to(torch." + name_of(wanted) + ") or .astype(numpy." + name_of(wanted) + ")"));
}

[[noreturn]] void refuse_dimensions(int ndim) {
  throw py::value_error("expected at most " + std::to_string(kMaxDimensions) + " dimensions, got " +
                        std::to_string(ndim));
}

[[noreturn]] void refuse_read_only() {
  throw py::value_error("output array is read-only: pass a writable one (a copy, or set its writeable flag)");
}

[[noreturn]] void refuse_strides(const std::string& shape, const std::string& strides, const char* unit) {
  throw py::value_error("expected a C-contiguous tensor, got shape " + shape + " with strides " + strides + " " + unit +
                        ": pass tensor.contiguous() or numpy.ascontiguousarray(array)");
}

std::string name_of_type(py::handle source) {
  return py::str(py::type::handle_of(source).attr("__qualname__")).cast<std::string>();
}

// Takes over the error that the producer has set: its text may carry a C++ stack trace.
[[noreturn]] void refuse_exchange(py::handle source) {
  py::error_already_set cause;
  const std::string text = py::str(cause.value()).cast<std::string>();
  const std::string message = "expected a dense tensor in CPU memory, got a " + name_of_type(source) +
                              " that gives no access to its memory (" + text.substr(0, text.find('\n')) +
                              "): pass an ordinary CPU tensor";
  py::raise_from(cause, PyExc_ValueError, message.c_str());
  throw py::error_already_set();
}

bool borrow_numpy(py::handle source, ScalarType wanted, bool writable, bool explain, Tensor<void>& out) {
  using py::detail::npy_api;
  const auto* array = py::detail::array_proxy(source.ptr());
  const auto* descriptor = py::detail::array_descriptor_proxy(array->descr);
  const auto dtype = py::reinterpret_borrow<py::dtype>(array->descr);
  const bool native = descriptor->byteorder == '=' || descriptor->byteorder == '|';
  if (!native || !(ScalarType{descriptor->kind, static_cast<int>(8 * dtype.itemsize())} == wanted)) {
    if (!explain) return false;
    refuse_dtype(wanted, std::string(py::str(dtype)) + (native ? "" : " (foreign byte order)"));
  }
  if (array->nd > kMaxDimensions) refuse_dimensions(array->nd);
  if ((array->flags & npy_api::NPY_ARRAY_C_CONTIGUOUS_) == 0) {
    refuse_strides(tuple_of(array->dimensions, array->nd), tuple_of(array->strides, array->nd), "bytes");
  }
  if ((array->flags & npy_api::NPY_ARRAY_ALIGNED_) == 0) {
    throw py::value_error("array is not aligned in memory: pass a copy");
  }
  if (writable && (array->flags & npy_api::NPY_ARRAY_WRITEABLE_) == 0) refuse_read_only();
  out.data = array->data;
  out.ndim = array->nd;
  for (int i = 0; i < array->nd; ++i) out.shape[i] = array->dimensions[i];
  return true;
}

bool is_contiguous(const dlpack::Tensor& tensor) {
  if (tensor.strides == nullptr) return true;
  std::int64_t expected = 1;
  bool contiguous = true;
  for (int i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] == 0) return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) contiguous = false;
    expected *= tensor.shape[i];
  }
  return contiguous;
}

bool borrow_dlpack(const dlpack::Tensor& tensor, ScalarType wanted, bool explain, Tensor<void>& out) {
  const auto code = wanted.kind == 'f' ? dlpack::kFloat : dlpack::kInt;
  if (tensor.dtype.code != code || tensor.dtype.bits != wanted.bits || tensor.dtype.lanes != 1) {
    if (!explain) return false;
    refuse_dtype(wanted, name_of(tensor.dtype));
  }
  if (tensor.device.type != dlpack::kCpu && tensor.device.type != dlpack::kCudaHost) {
    const bool cuda = tensor.device.type == dlpack::kCuda;
    throw py::value_error("expected a tensor on the CPU, got one on " +
                          (cuda ? "cuda:" + std::to_string(tensor.device.index)
                                : "DLPack device type " + std::to_string(tensor.device.type)) +
                          ": move it with tensor.cpu()");
  }
  if (tensor.ndim > kMaxDimensions) refuse_dimensions(tensor.ndim);
  if (!is_contiguous(tensor)) {
    refuse_strides(tuple_of(tensor.shape, tensor.ndim), tuple_of(tensor.strides, tensor.ndim), "elements");
  }
  out.data = tensor.data == nullptr ? nullptr : static_cast<char*>(tensor.data) + tensor.byte_offset;
  out.ndim = tensor.ndim;
  std::int64_t size = 1;
  for (int i = 0; i < tensor.ndim; ++i) size *= out.shape[i] = tensor.shape[i];
  if (size != 0 && out.data == nullptr) {
    throw py::value_error("tensor of shape " + tuple_of(tensor.shape, tensor.ndim) +
                          " has no memory behind it (a meta or fake tensor?): pass a real one");
  }
  return true;
}

// DLPack carries the raw memory: a lazy negation or conjugation, which torch keeps as a bit of the tensor, would be
// lost without a word.
bool is_set(py::handle source, PyObject* method) {
  PyObject* arguments[] = {source.ptr()};
  PyObject* answer = PyObject_VectorcallMethod(method, arguments, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
  if (answer == nullptr) throw py::error_already_set();
  const bool set = answer == Py_True;
  Py_DECREF(answer);
  return set;
}

// What a type offers, remembered: the lookups cost more than the exchange itself.
struct Producer {
  PyTypeObject* type = nullptr;  // strong reference, never given back: types live as long as the process
  const dlpack::ExchangeApi* api = nullptr;
  PyObject* is_neg = nullptr;  // interned method names, when the type has them
  PyObject* is_conj = nullptr;
};

const dlpack::ExchangeApi* find_api(py::handle type) {
  auto capsule = py::getattr(type, "__dlpack_c_exchange_api__", py::none());
  if (capsule.is_none() || !PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  auto* api = static_cast<const dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api != nullptr && api->version.major != 1) api = api->previous;
  return api != nullptr && api->tensor_from_object != nullptr ? api : nullptr;
}

Producer describe(PyTypeObject* type) {
  const py::handle handle(reinterpret_cast<PyObject*>(type));
  Producer producer;
  producer.type = type;
  producer.api = find_api(handle);
  if (py::hasattr(handle, "is_neg")) producer.is_neg = PyUnicode_InternFromString("is_neg");
  if (py::hasattr(handle, "is_conj")) producer.is_conj = PyUnicode_InternFromString("is_conj");
  return producer;
}

Producer producer_of(PyTypeObject* type) {
  constexpr int capacity = 8;
  static Producer known[capacity];
  static int count = 0;
  for (int i = 0; i < count; ++i) {
    if (known[i].type == type) return known[i];
  }
  const Producer producer = describe(type);
  if (count < capacity) {
    Py_INCREF(type);
    known[count++] = producer;
  }
  return producer;
}

py::object capsule_of(py::handle source) {
  try {  // torch's __dlpack__ refuses tensors that require grad, its to_dlpack does not
    return py::hasattr(source, "requires_grad") ? py::module_::import("torch.utils.dlpack").attr("to_dlpack")(source)
                                                : source.attr("__dlpack__")();
  } catch (py::error_already_set& error) {
    error.restore();
    refuse_exchange(source);
  }
}

// For producers without the exchange table: a capsule, kept alive until the call ends.
bool borrow_capsule(py::handle source, ScalarType wanted, bool writable, bool explain, Tensor<void>& out) {
  py::object capsule = capsule_of(source);
  py::detail::loader_life_support::add_patient(capsule);
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    const auto* managed =
        static_cast<dlpack::ManagedTensorVersioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    if (managed->version.major != 1) {
      throw py::value_error("expected DLPack version 1, got " + std::to_string(managed->version.major));
    }
    if (!borrow_dlpack(managed->tensor, wanted, explain, out)) return false;
    if (writable && (managed->flags & dlpack::kReadOnly) != 0) refuse_read_only();
    return true;
  }
  const auto* managed = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (managed == nullptr) throw py::error_already_set();
  return borrow_dlpack(managed->tensor, wanted, explain, out);
}

}  // namespace

bool borrow(py::handle source, ScalarType wanted, bool writable, bool explain, Tensor<void>& out) {
  if (py::isinstance<py::array>(source)) return borrow_numpy(source, wanted, writable, explain, out);
  const Producer producer = producer_of(Py_TYPE(source.ptr()));
  if (producer.api == nullptr && !py::hasattr(source, "__dlpack__")) {
    if (!explain) return false;
    throw py::type_error("expected a NumPy array or a torch tensor, got " + name_of_type(source));
  }
  if (producer.is_neg != nullptr && is_set(source, producer.is_neg)) {
    throw py::value_error("tensor has its negative bit set: pass tensor.resolve_neg()");
  }
  if (producer.api == nullptr) return borrow_capsule(source, wanted, writable, explain, out);
  dlpack::Tensor tensor;
  if (producer.api->tensor_from_object(source.ptr(), &tensor) != 0) refuse_exchange(source);
  if (tensor.dtype.code == dlpack::kComplex && producer.is_conj != nullptr && is_set(source, producer.is_conj)) {
    throw py::value_error("tensor has its conjugate bit set: pass the real part, or tensor.resolve_conj()");
  }
  return borrow_dlpack(tensor, wanted, explain, out);
}

}  // namespace inntd::python
