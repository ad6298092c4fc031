//! Tensors to ONNX Runtime's values and back, without a copy wherever the bytes allow it.
#![allow(unsafe_code, reason = "values cross a C interface; each block says why it is sound")]

use bytes::Bytes;
use kerf_tensor::{DType, Tensor};
use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::SharedSessionInner;
use ort::sys::{ONNXTensorElementDataType as ElementType, OrtValue};
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// A value of ONNX Runtime, released when dropped; `'a` is what its bytes are borrowed from.
pub(crate) struct Value<'a> {
    pointer: NonNull<OrtValue>,
    /// Bytes that lay unaligned, copied.
    _copy: Option<Vec<u64>>,
    borrowed: PhantomData<&'a Tensor>,
}

/// Why a result is not a tensor that we can pass on.
pub(crate) type Reason = String;

impl<'a> Value<'a> {
    /// A value over a tensor's bytes; copied where they are not aligned for their type, and strings.
    pub(crate) fn borrow(tensor: &'a Tensor) -> ort::Result<Self> {
        let shape: Vec<i64> = tensor.shape().iter().map(|dim| *dim as i64).collect();
        let element = element_type(tensor.dtype());
        let Some(size) = tensor.dtype().size() else { return Self::of_strings(tensor, &shape) };
        let data = tensor.data();
        let copy = (data.as_ptr().align_offset(size) != 0).then(|| aligned(data));
        let bytes = copy.as_ref().map_or(data.as_ptr(), |copy| copy.as_ptr().cast());
        let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?;
        let mut pointer = ptr::null_mut();
        // SAFETY: `bytes` points to `data.len()` bytes, aligned for `element`, which live as long as the
        // value: in `tensor`, borrowed for `'a`, or in `copy`, kept beside it. The pointer is mutable in
        // the C interface for other uses; an input is only read.
        let status = unsafe {
            ort::Error::result_from_status((ort::api().CreateTensorWithDataAsOrtValue)(
                info.ptr(),
                bytes.cast_mut().cast(),
                data.len(),
                shape.as_ptr(),
                shape.len(),
                element,
                &mut pointer,
            ))
        };
        status?;
        Self::new(pointer, copy)
    }

    pub(crate) fn as_ptr(&self) -> *const OrtValue {
        self.pointer.as_ptr()
    }

    fn of_strings(tensor: &Tensor, shape: &[i64]) -> ort::Result<Self> {
        let strings = tensor.strings().map_err(ort::Error::wrap)?;
        let mut pointer = ptr::null_mut();
        // SAFETY: the default allocator is static in the library; `shape` outlives the call.
        let status = unsafe {
            let mut allocator = ptr::null_mut();
            ort::Error::result_from_status((ort::api().GetAllocatorWithDefaultOptions)(&mut allocator))
                .and_then(|()| {
                    ort::Error::result_from_status((ort::api().CreateTensorAsOrtValue)(
                        allocator,
                        shape.as_ptr(),
                        shape.len(),
                        element_type(DType::String),
                        &mut pointer,
                    ))
                })
        };
        status?;
        let value = Self::new(pointer, None)?;
        for (index, string) in strings.iter().enumerate() {
            let mut buffer: *mut c_char = ptr::null_mut();
            // SAFETY: `index` is below the element count, so the element exists; the buffer that comes
            // back has room for the length asked for, and is written before anything else uses the value.
            unsafe {
                ort::Error::result_from_status((ort::api().GetResizedStringTensorElementBuffer)(
                    pointer,
                    index,
                    string.len(),
                    &mut buffer,
                ))?;
                if !buffer.is_null() {
                    ptr::copy_nonoverlapping(string.as_ptr(), buffer.cast(), string.len());
                }
            }
        }
        Ok(value)
    }

    fn new(pointer: *mut OrtValue, copy: Option<Vec<u64>>) -> ort::Result<Self> {
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, _copy: copy, borrowed: PhantomData }),
            None => Err(ort::Error::new("no value was made")),
        }
    }
}

impl Drop for Value<'_> {
    fn drop(&mut self) {
        // SAFETY: the value is ours and not released before.
        unsafe { (ort::api().ReleaseValue)(self.pointer.as_ptr()) }
    }
}

/// Takes over a value that a run returned.
pub(crate) fn adopt(pointer: *mut OrtValue) -> Option<Value<'static>> {
    NonNull::new(pointer).map(|pointer| Value { pointer, _copy: None, borrowed: PhantomData })
}

impl Value<'static> {
    /// The tensor that a run of `session` on `inputs` returned, sharing ONNX Runtime's buffer.
    pub(crate) fn into_tensor(
        self,
        session: &Arc<SharedSessionInner>,
        inputs: &[Tensor],
    ) -> Result<Tensor, Reason> {
        let (element, shape) = self.element_and_shape().map_err(|error| error.to_string())?;
        let dtype = DType::from_onnx_code(element).ok_or_else(|| format!("element type {element}"))?;
        let count = kerf_tensor::element_count(&shape).map_err(|error| error.to_string())?;
        let Some(size) = dtype.size() else {
            let strings = self.strings(count).map_err(|error| error.to_string())?;
            return Tensor::from_strings(&shape, &strings).map_err(|error| error.to_string());
        };
        let data = self.data().map_err(|error| error.to_string())?;
        let bytes = match NonNull::new(data.cast::<u8>()) {
            Some(start) if count > 0 => {
                let buffer =
                    Buffer { start, length: count * size, _value: self, _session: Arc::clone(session) };
                // A result may be a view of an input, whose bytes are the caller's.
                let borrowed = inputs
                    .iter()
                    .any(|input| input.data().as_ptr_range().contains(&start.as_ptr().cast_const()));
                if borrowed { Bytes::copy_from_slice(buffer.as_ref()) } else { Bytes::from_owner(buffer) }
            }
            _ => Bytes::new(),
        };
        Tensor::new(dtype, shape, bytes).map_err(|error| error.to_string())
    }

    fn element_and_shape(&self) -> ort::Result<(i32, Vec<usize>)> {
        let api = ort::api();
        let mut is_tensor = 0;
        let mut info = ptr::null_mut();
        // SAFETY: the value is alive; the description that comes back is released below, on every path.
        unsafe {
            ort::Error::result_from_status((api.IsTensor)(self.as_ptr(), &mut is_tensor))?;
            if is_tensor == 0 {
                return Err(ort::Error::new("a sequence or a map, not a tensor"));
            }
            ort::Error::result_from_status((api.GetTensorTypeAndShape)(self.as_ptr(), &mut info))?;
            let described = describe(info);
            (api.ReleaseTensorTypeAndShapeInfo)(info);
            described
        }
    }

    fn data(&self) -> ort::Result<*mut c_void> {
        let mut data = ptr::null_mut();
        // SAFETY: the value is a tensor of numbers, and alive.
        unsafe {
            ort::Error::result_from_status((ort::api().GetTensorMutableData)(
                self.pointer.as_ptr(),
                &mut data,
            ))
        }?;
        Ok(data)
    }

    fn strings(&self, count: usize) -> ort::Result<Vec<Vec<u8>>> {
        let api = ort::api();
        let mut length = 0;
        let mut offsets = vec![0usize; count];
        // SAFETY: the value is a string tensor of `count` elements, alive; both buffers have the lengths
        // that are passed with them.
        let content = unsafe {
            ort::Error::result_from_status((api.GetStringTensorDataLength)(self.as_ptr(), &mut length))?;
            let mut content = vec![0u8; length];
            ort::Error::result_from_status((api.GetStringTensorContent)(
                self.as_ptr(),
                content.as_mut_ptr().cast(),
                length,
                offsets.as_mut_ptr(),
                count,
            ))?;
            content
        };
        let ends = offsets.iter().skip(1).copied().chain([length]);
        Ok(offsets.iter().zip(ends).map(|(start, end)| content[*start..end].to_vec()).collect())
    }
}

/// # Safety
/// `info` must be a live tensor description.
unsafe fn describe(info: *const ort::sys::OrtTensorTypeAndShapeInfo) -> ort::Result<(i32, Vec<usize>)> {
    let api = ort::api();
    // Not the binding's enum: a newer library may know types that it lacks.
    let mut element = 0i32;
    let mut rank = 0;
    // SAFETY: as the caller promises; `dims` has the length that is passed with it.
    unsafe {
        ort::Error::result_from_status((api.GetTensorElementType)(info, (&raw mut element).cast()))?;
        ort::Error::result_from_status((api.GetDimensionsCount)(info, &mut rank))?;
        let mut dims = vec![0i64; rank];
        ort::Error::result_from_status((api.GetDimensions)(info, dims.as_mut_ptr(), rank))?;
        let shape: Result<Vec<usize>, _> = dims.into_iter().map(usize::try_from).collect();
        Ok((element, shape.map_err(ort::Error::wrap)?))
    }
}

/// An output's memory, owned by its value. The session stays as long: its arena may be what the
/// memory came from.
struct Buffer {
    start: NonNull<u8>,
    length: usize,
    _value: Value<'static>,
    _session: Arc<SharedSessionInner>,
}

// SAFETY: the memory is written by no one once the run has returned it, and releasing a value from
// another thread is allowed: the arena takes a lock.
unsafe impl Send for Buffer {}
// SAFETY: as above; through a shared reference the memory is only read.
unsafe impl Sync for Buffer {}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the value, alive, holds `length` initialised bytes from `start`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

/// Makes all sessions of the environment allocate from one arena that grows by what is needed, not
/// by doubling: per-session arenas would each keep their session's peak for ever.
pub(crate) fn share_arena(environment: &Environment) -> ort::Result<()> {
    let info = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    let keys = [c"arena_extend_strategy".as_ptr()];
    let same_as_requested = [1usize];
    let api = ort::api();
    // SAFETY: the environment is alive, key and value are one each, and the configuration is copied by
    // the registration and released after it.
    unsafe {
        let mut config = ptr::null_mut();
        ort::Error::result_from_status((api.CreateArenaCfgV2)(
            keys.as_ptr(),
            same_as_requested.as_ptr(),
            keys.len(),
            &mut config,
        ))?;
        let registered = ort::Error::result_from_status((api.CreateAndRegisterAllocator)(
            environment.ptr().cast_mut(),
            info.ptr(),
            config,
        ));
        (api.ReleaseArenaCfg)(config);
        registered
    }
}

fn aligned(data: &[u8]) -> Vec<u64> {
    let words = data.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    words.collect()
}

fn element_type(dtype: DType) -> ElementType {
    match dtype {
        DType::F32 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DType::F64 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DType::F16 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DType::Bf16 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        DType::I8 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DType::I16 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DType::I32 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DType::I64 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DType::U8 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DType::U16 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DType::U32 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DType::U64 => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DType::Bool => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        DType::String => ElementType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}
