// Every differentiable operation.
#pragma once
#include "autograd/ops/activation.h"
#include "autograd/ops/batch_norm.h"
#include "autograd/ops/binary.h"
#include "autograd/ops/conv2d.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/loss.h"
#include "autograd/ops/pool.h"
#include "autograd/ops/regression_loss.h"
#include "autograd/ops/resize.h"
#include "autograd/ops/scale_gradient.h"
#include "autograd/ops/shape.h"
#include "autograd/ops/softmax.h"
